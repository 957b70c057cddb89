import { Duplex } from 'node:stream'
import { connect } from 'node:tls'

/** The first thing that a TLS client says. Nobody goes on with that handshake. */
export function clientHello(): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const wire = new Duplex({
      read() {},
      write(hello: Buffer, _, done) {
        resolve(hello)
        done()
        process.nextTick(() => client.destroy())
      },
    })
    const client = connect({ socket: wire }).on('error', reject)
  })
}
