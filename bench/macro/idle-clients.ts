import type { Socket } from 'node:net'
import { ScramKeyCache } from '../../src/auth/scram-key-cache.ts'
import type { Address } from './peer.ts'
import { openRawClient } from './raw-client.ts'

/**
 * Entry of the process that holds idle clients (see `IdleClients`). Talks to its parent in messages: `open` until so many are open,
 * `close` all. Ends when the parent does.
 */
export type Command =
  | { readonly kind: 'open'; readonly address: Address; readonly total: number }
  | { readonly kind: 'close' }

/** `lost`: how many the other side has closed since they were opened. */
export type Answer =
  | { readonly kind: 'opened'; readonly total: number; readonly seconds: number }
  | { readonly kind: 'closed'; readonly lost: number }
  | { readonly kind: 'failed'; readonly reason: string }

/** Logins at a time: below every listen backlog, enough to keep both sides busy. */
const concurrency = 32

const sockets = new Set<Socket>()
/** One password and one salt: derived once. */
const keyCache = new ScramKeyCache(4)
let lost = 0

async function open(address: Address, total: number): Promise<Answer> {
  const start = performance.now()
  let started = sockets.size
  const worker = async (): Promise<void> => {
    while (started < total) {
      started++
      keep(await openRawClient(address, keyCache))
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { kind: 'opened', total: sockets.size, seconds: (performance.now() - start) / 1000 }
}

function keep(socket: Socket): void {
  sockets.add(socket)
  socket.resume()
  // The reset itself is of no interest, the loss is counted in `close`.
  socket.on('error', () => {})
  socket.on('close', () => {
    if (sockets.delete(socket)) lost++
  })
}

/** Says goodbye (Terminate) and closes, as a driver would. */
async function close(): Promise<Answer> {
  const answer: Answer = { kind: 'closed', lost }
  const closed = [...sockets].map((socket) => {
    sockets.delete(socket)
    const { promise, resolve } = Promise.withResolvers<void>()
    socket.on('close', () => resolve())
    socket.end(Buffer.from([0x58, 0, 0, 0, 4]))
    return promise
  })
  await Promise.all(closed)
  lost = 0
  return answer
}

async function obey(command: Command): Promise<void> {
  const work = command.kind === 'open' ? open(command.address, command.total) : close()
  const answer = await work.catch(
    (error: unknown): Answer => ({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) }),
  )
  process.send?.(answer)
}

process.on('message', (command: Command) => void obey(command))
process.on('disconnect', () => process.exit(0))
