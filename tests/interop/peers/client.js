// client.js PORT: a client on npm's package gearman, driven by lines on its standard input. See harness.py.
'use strict'

const fs = require('fs')
const gearman = require('gearman')
const readline = require('readline')

const client = gearman('127.0.0.1', Number(process.argv[2]))

function emit (name, body = '') {
  body = Buffer.from(body)
  process.stdout.write(Buffer.concat([Buffer.from(`${name} ${body.length}\n`), body, Buffer.from('\n')]))
}

function end () {
  emit('end')
  waiting.shift()
}

// The commands run one after the other: the first is the one that answers are for.
const waiting = []

client.on('JOB_CREATED', (handle) => {
  emit('created', handle)
  if (waiting[0] === 'background') end()
})
client.on('WORK_DATA', (job) => emit('data', job.payload))
client.on('WORK_WARNING', (job) => emit('warning', job.warning))
client.on('WORK_STATUS', (job) => emit('status', `${job.percent_num}/${job.percent_den}`))
client.on('WORK_COMPLETE', (job) => { emit('complete', job.payload); end() })
client.on('WORK_EXCEPTION', (job) => { emit('exception', job.exception); end() })
client.on('WORK_FAIL', () => { emit('fail'); end() })
client.on('ERROR', (code, text) => { emit('error', `${code} ${text}`); end() })
client.on('ECHO_RES', (body) => { emit('pong', body); end() })

// The package reads the last field, the denominator, as the number of its one character.
function emitStatus (status) {
  const denominator = String.fromCharCode(status.percent_done_den)
  emit('status', [status.known, status.running, status.percent_done_num, denominator].join(' '))
  end()
}
client.on('STATUS_RES', emitStatus)
client.on('STATUS_RES_UNIQUE', emitStatus)

function submit (background) {
  return (priority, name, unique, path) =>
    client.submitJob(name, fs.readFileSync(path), { priority, background, unique_id: unique })
}

const commands = {
  run: submit(false),
  background: submit(true),
  status: (handle) => client.getJobStatus(handle),
  unique_status: (unique) => client.getJobStatusUnique(unique),
  ping: (path) => client.echo(fs.readFileSync(path)),
  admin_status: (name) => client.adminStatus((functions) => {
    const { total, running, available_workers: workers } = functions[name]
    emit('status', `${total} ${running} ${workers}`)
    end()
  }),
  admin_workers: (id) => client.adminWorkers((workers) => {
    emit('functions', workers.find((worker) => worker.id === id).functions.sort().join(' '))
    end()
  }),
  drop_function: (name) => client.adminDropFunction(name, (error) => { emit('dropped', error ? error.message : ''); end() })
}

client.on('OPTION_RES', () => {
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const [name, ...words] = line.split('\t')
    waiting.push(name)
    commands[name](...words)
  }).on('close', () => process.exit())
})
client.connect(() => client.setOption('exceptions'))
