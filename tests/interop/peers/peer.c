/* peer client PORT: a client on libgearman, driven by lines on its standard input. See harness.py.
 * peer worker PORT PREFIX [all|unique|plain [TIMEOUT_MS]]: a worker on it. See catalogue.py for what each
 * function does. The third word is how it grabs jobs, the fourth the time that the server gives it for each.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libgearman/gearman.h>

enum { MAX_WORDS = 16, MAX_LINE = 4096 };

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory) die("malloc", "out of memory");
    return memory;
}

/* The content of a file, which may be a pipe; NULL when there is none. */
static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t room = 1 << 16;
    char *content = allocate(room);
    *size = 0;
    for (size_t got; (got = fread(content + *size, 1, room - *size, file)) > 0;) {
        *size += got;
        if (*size == room && !(content = realloc(content, room *= 2))) die("realloc", "out of memory");
    }
    fclose(file);
    return content;
}


static gearman_return_t finish(gearman_job_st *job, const void *result, size_t size)
{
    return gearman_job_send_complete(job, result, size);
}

static gearman_return_t run_echo(gearman_job_st *job, void *context)
{
    (void)context;
    return finish(job, gearman_job_workload(job), gearman_job_workload_size(job));
}

static gearman_return_t run_reverse(gearman_job_st *job, void *context)
{
    (void)context;
    size_t size = gearman_job_workload_size(job);
    const char *workload = gearman_job_workload(job);
    char *reversed = allocate(size);
    for (size_t i = 0; i < size; i++) reversed[i] = workload[size - 1 - i];
    gearman_return_t rc = finish(job, reversed, size);
    free(reversed);
    return rc;
}

static gearman_return_t run_fail(gearman_job_st *job, void *context)
{
    (void)context;
    return gearman_job_send_fail(job);
}

static gearman_return_t run_exception(gearman_job_st *job, void *context)
{
    (void)context;
    char text[1024];
    int size = snprintf(text, sizeof text, "no: %.*s", (int)gearman_job_workload_size(job),
                        (const char *)gearman_job_workload(job));
    return gearman_job_send_exception(job, text, (size_t)size);
}

static gearman_return_t run_data(gearman_job_st *job, void *context)
{
    (void)context;
    size_t size = gearman_job_workload_size(job);
    const char *workload = gearman_job_workload(job);
    gearman_job_send_data(job, workload, size / 2);
    gearman_job_send_data(job, workload + size / 2, size - size / 2);
    return finish(job, NULL, 0);
}

static gearman_return_t run_warning(gearman_job_st *job, void *context)
{
    (void)context;
    gearman_job_send_warning(job, gearman_job_workload(job), gearman_job_workload_size(job));
    return finish(job, "done", 4);
}

static gearman_return_t run_status(gearman_job_st *job, void *context)
{
    gearman_job_send_status(job, 3, 4);
    return run_echo(job, context);
}

static gearman_return_t run_unique(gearman_job_st *job, void *context)
{
    (void)context;
    const char *unique = gearman_job_unique(job);
    return finish(job, unique, unique ? strlen(unique) : 0);
}

static gearman_return_t run_gate(gearman_job_st *job, void *context)
{
    (void)context;
    char path[1024];
    snprintf(path, sizeof path, "%.*s", (int)gearman_job_workload_size(job),
             (const char *)gearman_job_workload(job));
    gearman_job_send_status(job, 1, 2);
    size_t size;
    char *content = read_file(path, &size);
    gearman_return_t rc = content ? finish(job, content, size) : finish(job, "no such file", 12);
    free(content);
    return rc;
}

/* GEARMAN_ERROR makes the library drop its connections, after which the server queues the job again. */
static gearman_return_t run_retry(gearman_job_st *job, void *context)
{
    static int runs;
    if (++runs == 1) return GEARMAN_ERROR;
    return run_echo(job, context);
}

static gearman_return_t partition(gearman_job_st *job, void *context)
{
    (void)context;
    const char *workload = gearman_job_workload(job);
    size_t size = gearman_job_workload_size(job);
    for (size_t start = 0, end; start < size; start = end + 1) {
        for (end = start; end < size && workload[end] != ' ';) end++;
        gearman_return_t rc = gearman_job_send_data(job, workload + start, end - start);
        if (gearman_failed(rc)) return rc;
    }
    return GEARMAN_SUCCESS;
}

/* Joins the results of the parts with commas, and fails when a part did. */
static gearman_return_t aggregate(gearman_aggregator_st *aggregator, gearman_task_st *task,
                                  gearman_result_st *result)
{
    (void)aggregator;
    char joined[MAX_LINE];
    size_t size = 0;
    for (; task; task = gearman_next(task)) {
        if (gearman_failed(gearman_task_return(task))) return GEARMAN_FATAL;
        gearman_result_st *part = gearman_task_result(task);
        int added = snprintf(joined + size, sizeof joined - size, "%s%.*s", size ? "," : "",
                             (int)gearman_result_size(part), gearman_result_value(part));
        size += (size_t)added;
    }
    return gearman_result_store_value(result, joined, size);
}

static const struct { const char *name; gearman_function_fn *run; } functions[] = {
    {"echo", run_echo},       {"reverse", run_reverse}, {"fail", run_fail},
    {"exception", run_exception}, {"data", run_data},   {"warning", run_warning},
    {"status", run_status},   {"unique", run_unique},   {"gate", run_gate},
    {"retry", run_retry},
};

static void define(gearman_worker_st *worker, const char *prefix, const char *name, gearman_function_t function,
                   uint32_t timeout)
{
    char full[256];
    int size = snprintf(full, sizeof full, "%s.%s", prefix, name);
    gearman_return_t rc = gearman_worker_define_function(worker, full, (size_t)size, function, timeout, NULL);
    if (gearman_failed(rc)) die(full, gearman_worker_error(worker));
}

static int run_worker(in_port_t port, const char *prefix, const char *grab, uint32_t timeout)
{
    gearman_worker_st *worker = gearman_worker_create(NULL);
    if (strcmp(grab, "all") != 0) gearman_worker_remove_options(worker, GEARMAN_WORKER_GRAB_ALL);
    if (strcmp(grab, "plain") == 0) gearman_worker_remove_options(worker, GEARMAN_WORKER_GRAB_UNIQ);
    if (strcmp(grab, "unique") == 0) gearman_worker_add_options(worker, GEARMAN_WORKER_GRAB_UNIQ);
    char id[64];
    int size = snprintf(id, sizeof id, "%s-worker", prefix);
    gearman_worker_set_identifier(worker, id, (size_t)size);
    if (gearman_failed(gearman_worker_add_server(worker, "127.0.0.1", port)))
        die("add_server", gearman_worker_error(worker));

    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        define(worker, prefix, functions[i].name, gearman_function_create(functions[i].run), timeout);
    define(worker, prefix, "partition", gearman_function_create_partition(partition, aggregate), timeout);
    while (true) {
        gearman_return_t rc = gearman_worker_work(worker);
        /* A job that failed is reported too, and not an end. */
        if (rc == GEARMAN_COULD_NOT_CONNECT) return 0;
    }
}


static void emit(const char *name, const void *body, size_t size)
{
    printf("%s %zu\n", name, size);
    fwrite(body, 1, size, stdout);
    putchar('\n');
}

static void emit_text(const char *name, const char *text)
{
    emit(name, text, strlen(text));
}

static gearman_return_t on_created(gearman_task_st *task)
{
    emit_text("created", gearman_task_job_handle(task));
    fflush(stdout);
    return GEARMAN_SUCCESS;
}

static gearman_return_t emit_data(const char *name, gearman_task_st *task)
{
    emit(name, gearman_task_data(task), gearman_task_data_size(task));
    fflush(stdout);
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_data(gearman_task_st *task) { return emit_data("data", task); }
static gearman_return_t on_warning(gearman_task_st *task) { return emit_data("warning", task); }
static gearman_return_t on_complete(gearman_task_st *task) { return emit_data("complete", task); }
static gearman_return_t on_exception(gearman_task_st *task) { return emit_data("exception", task); }

static gearman_return_t on_fail(gearman_task_st *task)
{
    (void)task;
    emit_text("fail", "");
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_status(gearman_task_st *task)
{
    char text[64];
    snprintf(text, sizeof text, "%u/%u", gearman_task_numerator(task), gearman_task_denominator(task));
    emit_text("status", text);
    fflush(stdout);
    return GEARMAN_SUCCESS;
}

static gearman_client_st *new_client(in_port_t port)
{
    gearman_client_st *client = gearman_client_create(NULL);
    if (gearman_failed(gearman_client_add_server(client, "127.0.0.1", port)))
        die("add_server", gearman_client_error(client));
    return client;
}

static void check(gearman_client_st *client, gearman_return_t rc)
{
    if (rc == GEARMAN_TIMEOUT) emit_text("timeout", "");
    else if (gearman_failed(rc)) emit_text("error", gearman_client_error(client));
}

/* A unique id that is not there is given as NULL, for which the library may make one up. */
static const char *optional(const char *word) { return *word ? word : NULL; }

typedef gearman_task_st *add_task_fn(gearman_client_st *, gearman_task_st *, void *, const char *, const char *,
                                     const void *, size_t, gearman_return_t *);

static void run(gearman_client_st *client, char **words)
{
    add_task_fn *add = *words[0] == 'h'   ? gearman_client_add_task_high
                       : *words[0] == 'l' ? gearman_client_add_task_low
                                          : gearman_client_add_task;
    size_t size;
    char *workload = read_file(words[3], &size);
    gearman_return_t rc;
    gearman_task_st *task = add(client, NULL, NULL, words[1], optional(words[2]), workload, size, &rc);
    check(client, rc);
    if (gearman_success(rc)) {
        rc = gearman_client_run_tasks(client);
        /* Told by the callbacks already. */
        if (rc != GEARMAN_WORK_FAIL && rc != GEARMAN_WORK_EXCEPTION) check(client, rc);
        gearman_task_free(task);
    }
    free(workload);
}

typedef void *do_fn(gearman_client_st *, const char *, const char *, const void *, size_t, size_t *,
                    gearman_return_t *);

static void run_blocking(gearman_client_st *client, char **words)
{
    do_fn *call = *words[0] == 'h'   ? gearman_client_do_high
                  : *words[0] == 'l' ? gearman_client_do_low
                                     : gearman_client_do;
    size_t size, result_size;
    char *workload = read_file(words[3], &size);
    gearman_return_t rc;
    void *result = call(client, words[1], optional(words[2]), workload, size, &result_size, &rc);
    if (gearman_success(rc)) emit("complete", result, result_size);
    else if (rc == GEARMAN_WORK_FAIL) emit_text("fail", "");
    else check(client, rc);
    free(result);
    free(workload);
}

typedef gearman_return_t background_fn(gearman_client_st *, const char *, const char *, const void *, size_t,
                                       gearman_job_handle_t);

static void run_in_background(gearman_client_st *client, char **words)
{
    background_fn *call = *words[0] == 'h'   ? gearman_client_do_high_background
                          : *words[0] == 'l' ? gearman_client_do_low_background
                                             : gearman_client_do_background;
    size_t size;
    char *workload = read_file(words[3], &size);
    gearman_job_handle_t handle;
    gearman_return_t rc = call(client, words[1], optional(words[2]), workload, size, handle);
    if (gearman_success(rc)) emit_text("created", handle);
    else check(client, rc);
    free(workload);
}

static void emit_status(bool known, bool running, uint32_t numerator, uint32_t denominator)
{
    char text[64];
    snprintf(text, sizeof text, "%d %d %u %u", known, running, numerator, denominator);
    emit_text("status", text);
}

static void ask_status(gearman_client_st *client, char **words)
{
    bool known, running;
    uint32_t numerator, denominator;
    gearman_return_t rc =
        gearman_client_job_status(client, words[0], &known, &running, &numerator, &denominator);
    /* A job that is not known, or not running yet, is reported in the return code as well. */
    if (rc != GEARMAN_UNKNOWN_STATE && rc != GEARMAN_JOB_EXISTS && rc != GEARMAN_IN_PROGRESS) check(client, rc);
    emit_status(known, running, numerator, denominator);
}

static void ask_unique_status(gearman_client_st *client, char **words)
{
    gearman_status_t status = gearman_client_unique_status(client, words[0], strlen(words[0]));
    emit_status(gearman_status_is_known(status), gearman_status_is_running(status),
                gearman_status_numerator(status), gearman_status_denominator(status));
}

static void ping(gearman_client_st *client, char **words)
{
    size_t size;
    char *body = read_file(words[0], &size);
    gearman_return_t rc = gearman_client_echo(client, body, size);
    if (gearman_success(rc)) emit_text("pong", "");
    else check(client, rc);
    free(body);
}

/* epoch SECONDS FUNCTION UNIQUE FILE: to be run that many seconds from now. */
static void submit_later(gearman_client_st *client, char **words)
{
    size_t size;
    char *workload = read_file(words[3], &size);
    gearman_task_attr_t when = gearman_task_attr_init_epoch(time(NULL) + atoi(words[0]), GEARMAN_JOB_PRIORITY_NORMAL);
    gearman_argument_t argument = gearman_argument_make(NULL, 0, workload, size);
    gearman_task_st *task = gearman_execute(client, words[1], strlen(words[1]), words[2], strlen(words[2]), &when,
                                            &argument, NULL);
    if (task) {
        emit_text("created", gearman_task_job_handle(task));
        gearman_task_free(task);
    } else emit_text("error", gearman_client_error(client));
    free(workload);
}

/* partition normal|background PARTITION_FUNCTION REDUCER FILE */
static void submit_partition(gearman_client_st *client, char **words)
{
    size_t size;
    char *workload = read_file(words[3], &size);
    gearman_argument_t argument = gearman_argument_make(NULL, 0, workload, size);
    gearman_task_attr_t attributes = *words[0] == 'b'
                                         ? gearman_task_attr_init_background(GEARMAN_JOB_PRIORITY_NORMAL)
                                         : gearman_task_attr_init(GEARMAN_JOB_PRIORITY_NORMAL);
    gearman_task_st *task = gearman_execute_by_partition(client, words[1], strlen(words[1]), words[2],
                                                         strlen(words[2]), NULL, 0, &attributes, &argument, NULL);
    if (!task) emit_text("error", gearman_client_error(client));
    else if (*words[0] == 'b') emit_text("created", gearman_task_job_handle(task));
    else if (gearman_task_return(task) == GEARMAN_WORK_FAIL) emit_text("fail", "");
    else if (gearman_failed(gearman_task_return(task))) emit_text("error", gearman_task_error(task));
    else {
        gearman_result_st *result = gearman_task_result(task);
        emit("complete", gearman_result_value(result), gearman_result_size(result));
    }
    if (task) gearman_task_free(task);
    free(workload);
}

/* together FUNCTION WORKLOAD...: several jobs at once. */
static void run_together(gearman_client_st *client, char **words)
{
    for (char **word = words + 1; *word; word++) {
        gearman_return_t rc;
        gearman_client_add_task(client, NULL, NULL, words[0], NULL, *word, strlen(*word), &rc);
        check(client, rc);
    }
    check(client, gearman_client_run_tasks(client));
    gearman_client_task_free_all(client);
}

/* timed MILLISECONDS FUNCTION UNIQUE FILE: do not wait for longer than that. */
static void run_timed(gearman_client_st *client, char **words)
{
    gearman_client_set_timeout(client, atoi(words[0]));
    run_blocking(client, words);
    gearman_client_set_timeout(client, -1);
}

static void ask_option(gearman_client_st *client, char **words)
{
    bool accepted = gearman_client_set_server_option(client, words[0], strlen(words[0]));
    emit_text(accepted ? "accepted" : "refused", "");
}

static const struct { const char *name; void (*run)(gearman_client_st *, char **); bool callbacks; } commands[] = {
    {"run", run, true},
    {"together", run_together, true},
    {"do", run_blocking, false},
    {"timed", run_timed, false},
    {"background", run_in_background, false},
    {"status", ask_status, false},
    {"unique_status", ask_unique_status, false},
    {"ping", ping, false},
    {"epoch", submit_later, false},
    {"partition", submit_partition, false},
    {"option", ask_option, false},
};

static int run_client(in_port_t port)
{
    gearman_client_st *observer = new_client(port);
    gearman_client_add_options(observer, GEARMAN_CLIENT_EXCEPTION);
    gearman_client_set_created_fn(observer, on_created);
    gearman_client_set_data_fn(observer, on_data);
    gearman_client_set_warning_fn(observer, on_warning);
    gearman_client_set_status_fn(observer, on_status);
    gearman_client_set_complete_fn(observer, on_complete);
    gearman_client_set_exception_fn(observer, on_exception);
    gearman_client_set_fail_fn(observer, on_fail);

    char line[MAX_LINE];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        char *words[MAX_WORDS] = {0}, *rest = line;
        for (int i = 0; i < MAX_WORDS - 1 && rest; i++) words[i] = strsep(&rest, "\t");
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
            if (strcmp(words[0], commands[i].name) != 0) continue;
            /* The calls without callbacks have a connection of their own, which did not ask for exceptions. */
            gearman_client_st *client = commands[i].callbacks ? observer : new_client(port);
            commands[i].run(client, words + 1);
            if (client != observer) gearman_client_free(client);
        }
        emit_text("end", "");
        fflush(stdout);
    }
    gearman_client_free(observer);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "version") == 0) return puts(gearman_version()) < 0;
    if (argc >= 3 && strcmp(argv[1], "client") == 0) return run_client((in_port_t)atoi(argv[2]));
    if (argc >= 4 && strcmp(argv[1], "worker") == 0)
        return run_worker((in_port_t)atoi(argv[2]), argv[3], argc > 4 ? argv[4] : "all",
                          argc > 5 ? (uint32_t)atoi(argv[5]) : 0);
    die("usage", "peer client PORT | peer worker PORT PREFIX [all|unique|plain [TIMEOUT_MS]]");
}
