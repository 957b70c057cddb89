import type { Socket } from 'node:net'

/**
 * Sends RST. A socket that has begun to end cannot be reset any more: libuv refuses, and the process would then wait for
 * ever, spinning, for that handle to close when it exits.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed || socket.writableEnded || socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}
