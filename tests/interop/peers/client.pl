# client.pl PORT: a client on Gearman::Client, driven by lines on its standard input. See harness.py.
use strict;
use warnings;
use Gearman::Client;

my ($port) = @ARGV;
my $server = "127.0.0.1:$port";
my $client = Gearman::Client->new(job_servers => [$server], exceptions => 1);

binmode STDOUT;
$| = 1;

sub emit {
    my ($name, $body) = @_;
    printf "%s %d\n%s\n", $name, length $body, $body;
}

sub slurp {
    open my $file, '<:raw', $_[0] or die "$_[0]: $!";
    local $/;
    return <$file> // '';
}

# The library puts the server before the handle, as 127.0.0.1:4730//H:host:1.
sub emit_handle { emit('created', $_[0] =~ s{^.*?//}{}r) }

sub task_options {
    my ($priority, $unique) = @_;
    my %options;
    $options{uniq} = $unique if length $unique;
    $options{high_priority} = 1 if $priority eq 'high';
    $options{priority} = 'low' if $priority eq 'low';
    return \%options;
}

my %commands = (
    run => sub {
        my ($priority, $function, $unique, $path) = @_;
        my $workload = slurp($path);
        my $options  = task_options($priority, $unique);
        $options->{on_complete}  = sub { emit('complete', ${ $_[0] }) };
        $options->{on_data}      = sub { emit('data', ${ $_[0] }) };
        $options->{on_warning}   = sub { emit('warning', ${ $_[0] }) };
        $options->{on_status}    = sub { emit('status', "$_[0]/$_[1]") };
        $options->{on_exception} = sub { emit('exception', $_[0]) };
        $options->{on_fail}      = sub { emit('fail', '') };
        my $tasks = $client->new_task_set;
        emit_handle($tasks->add_task($function, \$workload, $options));
        $tasks->wait;
    },
    do => sub {
        my ($priority, $function, $unique, $path) = @_;
        my $workload = slurp($path);
        my $result = $client->do_task($function, \$workload, task_options($priority, $unique));
        defined $result ? emit('complete', $$result) : emit('fail', '');
    },
    timed => sub {
        my ($seconds, $function, $unique, $path) = @_;
        my $workload = slurp($path);
        $client->do_task($function, \$workload, { timeout => $seconds, on_fail => sub { emit('fail', $_[0]) } });
    },
    together => sub {
        my ($function, @workloads) = @_;
        my $tasks = $client->new_task_set;
        for my $workload (@workloads) {
            $tasks->add_task($function, \$workload, { on_complete => sub { emit('complete', ${ $_[0] }) } });
        }
        $tasks->wait;
    },
    background => sub {
        my ($priority, $function, $unique, $path) = @_;
        my $workload = slurp($path);
        emit_handle($client->dispatch_background($function, \$workload, task_options($priority, $unique)));
    },
    status => sub {
        my ($handle) = @_;
        my $status   = $client->get_status("$server//$handle");
        my $progress = $status->progress || [0, 0];
        emit('status', join ' ', $status->known ? 1 : 0, $status->running ? 1 : 0, @$progress);
    },
    server_status => sub {
        my ($function) = @_;
        my $counts = $client->get_job_server_status->{$server}{$function};
        emit('status', join ' ', @$counts{qw(queued running capable)});
    },
);

while (my $line = <STDIN>) {
    chomp $line;
    my ($name, @words) = split /\t/, $line, -1;
    eval { $commands{$name}->(@words); 1 } or emit('error', $@);
    emit('end', '');
}
