/** Rejects with the signal's reason, if that ever comes. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  // Between two steps nobody waits for it.
  promise.catch(() => undefined)
  return promise
}
