<?php
// client.php PORT: a client on GearmanClient, driven by lines on its standard input. See harness.py.

[, $port] = $argv;
ini_set('memory_limit', '512M');

function emit(string $name, string $body = ''): void
{
    fwrite(STDOUT, "$name " . strlen($body) . "\n$body\n");
}

// The third argument asks the server to pass exceptions on.
$client = new GearmanClient();
$client->addServer('127.0.0.1', (int) $port, true);
$client->setCreatedCallback(fn ($task) => emit('created', $task->jobHandle()));
$client->setDataCallback(fn ($task) => emit('data', $task->data()));
$client->setWarningCallback(fn ($task) => emit('warning', $task->data()));
$client->setStatusCallback(fn ($task) => emit('status', $task->taskNumerator() . '/' . $task->taskDenominator()));
$client->setExceptionCallback(fn ($task) => emit('exception', $task->data()));
$client->setFailCallback(fn ($task) => emit('fail'));
$client->setCompleteCallback(fn ($task) => emit('complete', $task->data()));

// A client that has no callbacks, for the calls that return the result.
$plain = new GearmanClient();
$plain->addServer('127.0.0.1', (int) $port, true);

function emit_status(array $status): void
{
    emit('status', implode(' ', array_map('intval', array_slice($status, 0, 4))));
}

$commands = [
    'run' => function ($priority, $function, $unique, $path) use ($client) {
        $add = ['normal' => 'addTask', 'high' => 'addTaskHigh', 'low' => 'addTaskLow'][$priority];
        $client->$add($function, file_get_contents($path), null, $unique === '' ? null : $unique);
        if (!@$client->runTasks() && $client->returnCode() !== GEARMAN_WORK_EXCEPTION) {
            emit('error', $client->error());
        }
    },
    'do' => function ($priority, $function, $unique, $path) use ($plain) {
        $do = ['normal' => 'doNormal', 'high' => 'doHigh', 'low' => 'doLow'][$priority];
        $result = @$plain->$do($function, file_get_contents($path), $unique === '' ? null : $unique);
        match ($plain->returnCode()) {
            GEARMAN_SUCCESS => emit('complete', $result),
            GEARMAN_WORK_FAIL => emit('fail'),
            GEARMAN_WORK_EXCEPTION => emit('exception', (string) $result),
            default => emit('error', $plain->error()),
        };
    },
    'together' => function ($function, ...$workloads) use ($client) {
        foreach ($workloads as $workload) {
            $client->addTask($function, $workload);
        }
        $client->runTasks();
    },
    'timed' => function ($milliseconds, $function, $unique, $path) use ($port) {
        $hasty = new GearmanClient();
        $hasty->addServer('127.0.0.1', (int) $port);
        $hasty->setTimeout((int) $milliseconds);
        @$hasty->doNormal($function, file_get_contents($path));
        emit($hasty->returnCode() === GEARMAN_TIMEOUT ? 'timeout' : 'error', $hasty->error() ?: '');
    },
    'background' => function ($priority, $function, $unique, $path) use ($plain) {
        $do = ['normal' => 'doBackground', 'high' => 'doHighBackground', 'low' => 'doLowBackground'][$priority];
        emit('created', $plain->$do($function, file_get_contents($path), $unique === '' ? null : $unique));
    },
    'status' => fn ($handle) => emit_status($plain->jobStatus($handle)),
    'unique_status' => fn ($unique) => emit_status($plain->jobStatusByUniqueKey($unique)),
    'ping' => fn ($path) => emit('pong', $plain->ping(file_get_contents($path)) ? '' : $plain->error()),
];

while (($line = fgets(STDIN)) !== false) {
    $words = explode("\t", rtrim($line, "\n"));
    try {
        $commands[array_shift($words)](...$words);
    } catch (Throwable $error) {
        emit('error', $error->getMessage());
    }
    emit('end');
}
