/*
 * Children for tests of the keeper, as processes of their own: `node stub-child.ts BEHAVIOUR …`. A plane's channel is
 * descriptor 3, and so is control's.
 */
import { createReadStream, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { FdChannel } from '../../src/io/fd-channel.ts'
import { OwnedFd } from '../../src/io/owned-fd.ts'
import { decodeKeeperMessage, encodePlaneMessage, MAX_PACKET_BYTES } from '../../src/memory/keeper-protocol.ts'

const CHANNEL_FD = 3

const behaviours: Readonly<Record<string, () => void>> = {
  /** A plane that answers every client with its own pid, and closes the connection when the client ends. */
  'plane-pid'() {
    const channel = readyPlane()
    setInterval(() => {
      for (;;) {
        const received = channel.receive()
        if (received === 'gone') process.exit(0)
        if (received === 'empty') return
        for (const [at, { slot, generation }] of decodeKeeperMessage(received.bytes).clients.entries()) {
          const fd = received.fds[at]?.take()
          if (fd === undefined) continue
          const client = new Socket({ fd, readable: true, writable: true })
          client.on('error', () => {})
          client.resume().write(`${process.pid}\n`)
          client.once('close', () => {
            const packet = Buffer.alloc(MAX_PACKET_BYTES)
            channel.send(packet, encodePlaneMessage({ op: 'gone', clients: [{ slot, generation }] }, packet), [])
          })
        }
      }
    }, 5)
  },
  /** A plane that never reads its channel. */
  'plane-deaf'() {
    readyPlane()
    setInterval(() => {}, 1000)
  },
  'plane-garbage'() {
    readyPlane().send(Buffer.from('garbage'), 7, [])
    setInterval(() => {}, 1000)
  },
  'plane-broken'() {
    process.exit(9)
  },
  /** Control that is ready at once and exits when told to stop, with 0. */
  'control-obedient'() {
    report({ op: 'ready' })
    onOrder((order) => {
      if (order.op === 'reload')
        report({ op: 'stop-please', mode: 'immediate', reason: 'reloading means stopping here' })
      if (order.op !== 'stop') return
      report({ op: 'planes-exit' })
      report({ op: 'exit', code: 0 })
      process.exit(0)
    })
  },
  /** Control that does nothing it is told. */
  'control-deaf'() {
    report({ op: 'ready' })
    onOrder(() => {})
  },
  /** Control that finds that the router cannot run at all. */
  'control-refusing'() {
    report({ op: 'exit', code: 7 })
    setTimeout(() => process.exit(0), 10)
  },
}

function readyPlane(): FdChannel {
  const channel = new FdChannel(new OwnedFd(CHANNEL_FD), MAX_PACKET_BYTES)
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  channel.send(packet, encodePlaneMessage({ op: 'ready' }, packet), [])
  return channel
}

function report(message: object): void {
  writeSync(CHANNEL_FD, `${JSON.stringify(message)}\n`)
}

function onOrder(handle: (order: { op: string }) => void): void {
  let text = ''
  createReadStream('', { fd: CHANNEL_FD, encoding: 'utf8' })
    .on('data', (chunk) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) handle(JSON.parse(line))
    })
    .on('end', () => process.exit(0))
}

behaviours[process.argv[2] ?? '']?.()
