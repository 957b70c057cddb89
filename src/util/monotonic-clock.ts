/** CLOCK_MONOTONIC in milliseconds: the clock of every time in shared memory, the same for all processes of a machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** What to add to `monotonicMs()` to get milliseconds since 1970, as things are now. */
export function wallClockOffsetMs(): number {
  return Date.now() - monotonicMs()
}

/** The same clock, cheaper to read many times: 50 ns and nothing to collect. */
export function cheapMonotonicClock(): () => number {
  // Not looked up as a global each time.
  const clock = performance
  const offset = monotonicMs() - clock.now()
  return () => clock.now() + offset
}
