import { createConnection, Socket } from 'node:net'
import { FdChannel } from '../../src/io/fd-channel.ts'
import { OwnedFd } from '../../src/io/owned-fd.ts'
import { decodeKeeperMessage, encodePlaneMessage, MAX_PACKET_BYTES } from '../../src/memory/keeper-protocol.ts'

/**
 * A plane that understands no PostgreSQL: it hands every client's bytes to the first shard that is a primary, and obeys
 * `exit`. Good for tests of the processes around it.
 */
export function runStubPlane(options: {
  planeIndex: number
  channelFd: number
  runDirectory: string
}): Promise<number> {
  const channel = new FdChannel(new OwnedFd(options.channelFd), MAX_PACKET_BYTES)
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  let primary: { address: string; port: number } | null = null
  const control = createConnection(`${options.runDirectory}/control.sock`)
  const tell = (message: object): void => {
    const json = Buffer.from(JSON.stringify(message))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(json.length)
    control.write(Buffer.concat([length, json]))
  }
  control.on('error', () => setTimeout(() => process.exit(3), 100))
  control.on('connect', () =>
    tell({ op: 'hello', plane: options.planeIndex, pid: process.pid, valuesVersion: 0, topologyVersion: 0 }),
  )
  let buffered = Buffer.alloc(0)
  control.on('data', (chunk) => {
    buffered = Buffer.concat([buffered, chunk])
    while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32BE(0)) {
      const end = 4 + buffered.readUInt32BE(0)
      const command = JSON.parse(buffered.toString('utf8', 4, end))
      buffered = buffered.subarray(end)
      const shards = command.values?.topology.shards ?? command.topology?.shards ?? []
      primary = shards.find((shard: { role: string }) => shard.role === 'primary') ?? primary
      if (command.id !== undefined) tell({ op: 'done', id: command.id, error: null })
      if (command.op === 'exit') process.exit(0)
    }
  })
  const length = encodePlaneMessage({ op: 'ready' }, packet)
  channel.send(packet, length, [])
  const serve = (fd: number, slot: number, generation: number): void => {
    const client = new Socket({ fd, readable: true, writable: true })
    const close = (): void => {
      client.destroy()
      const bytes = encodePlaneMessage({ op: 'gone', clients: [{ slot, generation }] }, packet)
      channel.send(packet, bytes, [])
    }
    client.on('error', () => {})
    client.once('close', close)
    if (primary === null) {
      client.destroy()
      return
    }
    const server = createConnection(primary.port, primary.address)
    server.on('error', () => client.destroy())
    server.pipe(client).pipe(server)
    client.on('close', () => server.destroy())
  }
  setInterval(() => {
    for (;;) {
      const received = channel.receive()
      if (received === 'gone') process.exit(2)
      if (received === 'empty') return
      for (const [at, { slot, generation }] of decodeKeeperMessage(received.bytes).clients.entries()) {
        const fd = received.fds[at]
        if (fd !== undefined) serve(fd.take(), slot, generation)
      }
    }
  }, 2)
  return new Promise(() => {})
}
