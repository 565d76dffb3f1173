// worker.js PORT PREFIX: a worker on npm's package gearman. See catalogue.py for what each function does.
'use strict'

const fs = require('fs')
const gearman = require('gearman')

const [port, prefix] = process.argv.slice(2)
const worker = gearman('127.0.0.1', Number(port))

const functions = {
  echo: (job) => worker.sendWorkComplete(job.handle, job.payload),
  reverse: (job) => worker.sendWorkComplete(job.handle, Buffer.from(job.payload).reverse()),
  fail: (job) => worker.sendWorkFail(job.handle),
  exception: (job) => worker.sendWorkException(job.handle, Buffer.concat([Buffer.from('no: '), job.payload])),
  data: (job) => {
    const half = Math.floor(job.payload.length / 2)
    worker.sendWorkData(job.handle, job.payload.subarray(0, half))
    worker.sendWorkData(job.handle, job.payload.subarray(half))
    worker.sendWorkComplete(job.handle, Buffer.alloc(0))
  },
  warning: (job) => {
    worker.sendWorkWarning(job.handle, job.payload)
    worker.sendWorkComplete(job.handle, 'done')
  },
  status: (job) => {
    worker.sendWorkStatus(job.handle, '3', '4')
    worker.sendWorkComplete(job.handle, job.payload)
  },
  unique: (job) => worker.sendWorkComplete(job.handle, job.unique_id),
  gate: (job) => {
    worker.sendWorkStatus(job.handle, '1', '2')
    fs.readFile(job.payload.toString(), (error, content) => {
      worker.sendWorkComplete(job.handle, error ? 'no such file' : content)
    })
  }
}

// Registered with a time-out below.
functions.timed = functions.gate

worker.on('JOB_ASSIGN_UNIQ', (job) => {
  functions[job.func_name.slice(prefix.length + 1)](job)
  worker.preSleep()
})
worker.on('NOOP', () => worker.grabUniqueJob())
worker.on('NO_JOB', () => worker.preSleep())
worker.on('close', () => process.exit())

worker.connect(() => {
  worker.setWorkerId(`${prefix}-worker`)
  // The package sends a time-out as a 32-bit number, where gearmand reads decimal digits.
  for (const name of Object.keys(functions)) worker.addFunction(`${prefix}.${name}`, name === 'timed' ? 1000 : 0)
  worker.preSleep()
})
