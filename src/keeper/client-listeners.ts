import { chmodSync, ftruncateSync, rmSync, statSync, writeSync } from 'node:fs'
import { createConnection } from 'node:net'
import { dirname, join } from 'node:path'
import { ConfigError } from '../errors.ts'
import { type FileLock, lockFile } from '../io/file-lock.ts'
import { openListener } from '../io/listener.ts'
import { ERRNO, SystemError } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { localAddress } from '../io/socket.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import type { ListeningPlace } from '../memory/keeper-control-protocol.ts'
import type { KeptListener } from './orphans.ts'

/** Where clients may connect. */
export interface ListenRequest {
  /** Numeric. */
  readonly addresses: readonly string[]
  /** 0: any free one, the same for all addresses. */
  readonly port: number
  readonly unixSocketDirectory: string | null
  readonly unixSocketMode: number
  readonly backlog: number
  /** Of this process, for others to find in the lock file of the Unix socket. */
  readonly pid: number
}

/** A place where clients connect, bound and listening. Whoever opened it closes it. */
export interface ClientListener {
  readonly fd: OwnedFd
  readonly place: ListeningPlace
  /** Stops listening and removes what is left in the file system. */
  close(): void
}

/** Opens all places or none. Throws `ConfigError` with a sentence that says which one cannot be had, and why. */
export async function openClientListeners(request: ListenRequest): Promise<readonly ClientListener[]> {
  const listeners: ClientListener[] = []
  try {
    let { port } = request
    for (const address of request.addresses) {
      const listener = openTcp(address, port, request)
      listeners.push(listener)
      if (listener.place.kind === 'tcp') port = listener.place.port
    }
    if (request.unixSocketDirectory !== null) {
      listeners.push(await openUnix(join(request.unixSocketDirectory, `.s.PGSQL.${port}`), request))
    }
    return listeners
  } catch (error) {
    for (const listener of listeners) listener.close()
    throw error
  }
}

/**
 * Goes on with places that an earlier keeper has opened, and planes have kept. Throws `ConfigError` when somebody else has
 * locked a Unix socket meanwhile.
 */
export function adoptClientListeners(kept: readonly KeptListener[], pid: number): readonly ClientListener[] {
  return kept.map(({ place, fd }) => {
    if (place.kind === 'tcp') return { fd, place, close: () => fd.close() }
    const lock = lockFile(`${place.path}.lock`)
    if (lock === null) throw new ConfigError(`The Unix socket ${place.path} is in use by another program; stop it.`)
    ftruncateSync(lock.fd)
    writeSync(lock.fd, `${pid}\n`)
    return ownedUnixListener(fd, place.path, lock)
  })
}

function openTcp(address: string, port: number, { addresses, backlog }: ListenRequest): ClientListener {
  const ipv6Only = addresses.some((other) => !other.includes(':'))
  try {
    const fd = openListener(parseSocketAddress(address, port), { backlog, ipv6Only })
    return { fd, place: { kind: 'tcp', address, port: localAddress(fd).port }, close: () => fd.close() }
  } catch (error) {
    if (error instanceof SystemError) throw new ConfigError(explainTcp(address, port, error))
    throw error
  }
}

const EACCES = 13
const EADDRNOTAVAIL = 99

function explainTcp(address: string, port: number, error: SystemError): string {
  switch (error.errno) {
    case ERRNO.EADDRINUSE:
      return (
        `Port ${port} on ${address} is taken by another program; stop it, or choose another port with listen.port or ` +
        'SWITCHYARD_PORT.'
      )
    case EADDRNOTAVAIL:
      return `This machine has no address ${address}; write one of its own in listen.addresses, or "0.0.0.0" for all.`
    case EACCES:
      return `This user may not listen on port ${port}; choose one above 1023 with listen.port or SWITCHYARD_PORT.`
    default:
      return `Switchyard cannot listen on ${address} port ${port} (${error.message}); see listen.addresses and listen.port.`
  }
}

/**
 * Like PostgreSQL, we put a `.lock` file with our pid beside the socket, so that it and we keep clear of each other. A
 * socket without a living owner is replaced.
 */
async function openUnix(path: string, request: ListenRequest): Promise<ClientListener> {
  if (statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ConfigError(
      `The directory ${dirname(path)} does not exist; create it, or choose another listen.unix_socket_directory.`,
    )
  }
  let lock: FileLock | null = null
  try {
    lock = lockFile(`${path}.lock`)
    if (lock === null || (await isAnswering(path))) {
      throw new ConfigError(
        `The Unix socket ${path} is in use by another program; stop it, or choose another ` +
          'listen.unix_socket_directory or listen.port.',
      )
    }
    rmSync(path, { force: true })
    const fd = openListener(parseSocketAddress(path, 0), { backlog: request.backlog, ipv6Only: false })
    chmodSync(path, request.unixSocketMode)
    ftruncateSync(lock.fd)
    writeSync(lock.fd, `${request.pid}\n`)
    return ownedUnixListener(fd, path, lock)
  } catch (error) {
    lock?.release()
    if (error instanceof ConfigError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(`The Unix socket ${path} cannot be made (${reason}); see listen.unix_socket_directory.`)
  }
}

function ownedUnixListener(fd: OwnedFd, path: string, lock: FileLock): ClientListener {
  return {
    fd,
    place: { kind: 'unix', path },
    close: () => {
      fd.close()
      rmSync(path, { force: true })
      rmSync(`${path}.lock`, { force: true })
      lock.release()
    },
  }
}

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // Full backlog, or not ours to enter: somebody is there all the same.
      resolve(error.code === 'EAGAIN' || error.code === 'EACCES')
    })
  })
}
