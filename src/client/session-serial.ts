let last = 0

/** A number that no other session of this plane has; `known`: the one that it has already, in another process. */
export function takeSerial(known: number | null): number {
  const serial = known ?? last + 1
  avoidSerial(serial)
  return serial
}

/** Another session of this plane has this number already. */
export function avoidSerial(serial: number): void {
  last = Math.max(last, serial)
}
