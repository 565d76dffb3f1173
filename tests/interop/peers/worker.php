<?php
// worker.php PORT PREFIX: a worker on GearmanWorker. See catalogue.py for what each function does.

[, $port, $prefix] = $argv;
ini_set('memory_limit', '512M');

$worker = new GearmanWorker();
$worker->addServer('127.0.0.1', (int) $port);
$worker->setId("$prefix-worker");

$functions = [
    'echo' => fn ($job) => $job->workload(),
    'reverse' => fn ($job) => strrev($job->workload()),
    'fail' => fn ($job) => $job->sendFail(),
    'exception' => fn ($job) => $job->sendException('no: ' . $job->workload()),
    'data' => function ($job) {
        $workload = $job->workload();
        $half = intdiv(strlen($workload), 2);
        $job->sendData(substr($workload, 0, $half));
        $job->sendData(substr($workload, $half));
        return '';
    },
    'warning' => function ($job) {
        $job->sendWarning($job->workload());
        return 'done';
    },
    'status' => function ($job) {
        $job->sendStatus(3, 4);
        return $job->workload();
    },
    'unique' => fn ($job) => $job->unique(),
    'gate' => function ($job) {
        $job->sendStatus(1, 2);
        return file_get_contents($job->workload());
    },
];

foreach ($functions as $name => $function) {
    $worker->addFunction("$prefix.$name", $function);
}
while (true) {
    @$worker->work();
}
