import { connect } from 'node:net'

/** https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/** Whether somebody serves at this place. */
export type Knock = () => Promise<boolean>

/**
 * Knocks at a server's door: connects and asks whether it speaks TLS, which a server answers before anything else, in any
 * state but a stopped one. True: it answered.
 *
 * @param address numeric, or the path of a Unix socket
 */
export function knock(address: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = address.startsWith('/') ? connect(address) : connect(port, address)
    const end = (isThere: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(isThere)
    }
    const timer = setTimeout(() => end(false), timeoutMs)
    socket.once('connect', () => socket.write(SSL_REQUEST))
    socket.once('data', () => end(true))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}

/** Knocks so often, so long apart; true: nobody answered a single time. */
export async function isGone(
  tries: { readonly refusals: number; readonly pauseMs: number },
  once: Knock,
  pause: (ms: number) => Promise<void>,
): Promise<boolean> {
  for (let attempt = 1; attempt <= tries.refusals; attempt++) {
    if (await once()) return false
    if (attempt < tries.refusals) await pause(tries.pauseMs)
  }
  return true
}
