# worker.pl PORT PREFIX: a worker on Gearman::Worker. See catalogue.py for what each function does.
use strict;
use warnings;
use Gearman::Worker;

my ($port, $prefix) = @ARGV;
my $worker = Gearman::Worker->new(job_servers => ["127.0.0.1:$port"], client_id => "$prefix-worker");

sub slurp {
    open my $file, '<:raw', $_[0] or return 'no such file';
    local $/;
    return <$file> // '';
}

my %functions = (
    echo    => sub { $_[0]->arg },
    reverse => sub { scalar reverse $_[0]->arg },
    fail    => sub { undef },
    exception => sub {
        my $job = shift;
        $worker->send_work_exception($job, 'no: ' . $job->arg);
        return undef;
    },
    # Dying is how most Perl workers raise; the client gets the exception frozen by Storable.
    die => sub { die 'no: ' . $_[0]->arg . "\n" },
    data => sub {
        my $job  = shift;
        my $half = int(length($job->arg) / 2);
        $worker->send_work_data($job, substr($job->arg, 0, $half));
        $worker->send_work_data($job, substr($job->arg, $half));
        return '';
    },
    warning => sub {
        my $job = shift;
        $worker->send_work_warning($job, $job->arg);
        return 'done';
    },
    status => sub {
        my $job = shift;
        $job->set_status(3, 4);
        return $job->arg;
    },
    gate => sub {
        my $job = shift;
        $job->set_status(1, 2);
        return slurp($job->arg);
    },
);

$SIG{__WARN__} = sub { };    # Gearman::Worker reports each job that died
$worker->register_function("$prefix.$_" => $functions{$_}) for sort keys %functions;
# work() ends with an error when the server answers one, as to the WORK_FAIL that it sends after an exception.
while (1) { eval { $worker->work }; }
