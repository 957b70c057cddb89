import type { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { HANG_UP, Poller, type PollTarget, READABLE } from '../io/poller.ts'
import { decodeKeeperMessage, encodePlaneMessage, isAhead, MAX_PACKET_BYTES } from '../memory/keeper-protocol.ts'
import type { AheadClients } from './ahead-clients.ts'

/**
 * Says that this process is there, and sleeps until the keeper says that it is its turn, which is left for `KeeperLink` to read.
 * Clients that the keeper gives it before are put `ahead`. False when the keeper is gone instead. Nothing is written to the
 * shared memory until then: it is another process's. Throws when there are too few file descriptors.
 */
export function awaitTurn(architecture: string, fd: OwnedFd, channel: FdChannel, ahead: AheadClients): boolean {
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  channel.send(packet, encodePlaneMessage({ op: 'standby' }, packet), [])
  // One of its own: events of clients are another process's.
  const poller = new Poller(architecture)
  let isGone = false
  let isTurn = false
  poller.add(fd, READABLE, {
    onReady: (events) => {
      isGone = (events & HANG_UP) !== 0
      isTurn = isGone || takeAhead(channel, ahead)
    },
  })
  while (!isTurn) poller.dispatch(poller.wait(-1))
  poller.close()
  return !isGone
}

/** What hears the keeper: `KeeperLink`. */
export interface KeeperListener extends PollTarget {
  /** Everything that comes before this process serves has been said, or nothing comes any more. */
  readonly isInstructed: boolean
}

/** Lets `keeper` hear everything of the predecessor that it is to serve; until then clients' events are not its business. */
export function awaitInstructions(architecture: string, fd: OwnedFd, keeper: KeeperListener): void {
  const poller = new Poller(architecture)
  poller.add(fd, READABLE, keeper)
  while (!keeper.isInstructed) poller.dispatch(poller.wait(-1))
  poller.close()
}

/** Takes those that the keeper gives ahead, and says so. True: it says something else, which is not read. */
export function takeAhead(channel: FdChannel, ahead: AheadClients): boolean {
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  for (let first = channel.peek(); first >= 0; first = channel.peek()) {
    if (!isAhead(first)) return true
    const received = channel.receive()
    if (typeof received === 'string') return true
    const message = decodeKeeperMessage(received.bytes)
    const clients = message.op === 'ahead' ? message.clients : []
    // The keeper believes that all are there: better another process, or none, than some clients less.
    if (received.fds.length < clients.length) throw new Error('too few file descriptors for the clients of a plane')
    for (const [at, client] of clients.entries()) ahead.add(client, received.fds[at] as OwnedFd)
    channel.send(packet, encodePlaneMessage({ op: 'prepared' }, packet), [])
  }
  return false
}
