import type { Writable } from 'node:stream'

/** Settles when a stream whose `write` said false has room again: true; or is closed for good: false. */
export function writableAgain(stream: Writable): Promise<boolean> {
  if (stream.destroyed) return Promise.resolve(false)
  return new Promise((resolve) => {
    const settle = (): void => {
      stream.off('drain', settle)
      stream.off('close', settle)
      resolve(!stream.destroyed)
    }
    stream.on('drain', settle)
    stream.on('close', settle)
  })
}
