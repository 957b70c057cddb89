/**
 * One deadline of an owner. Intrusive, so that arming costs no allocation: keep one object per purpose and re-arm it.
 */
export class Timer {
  /** Absolute deadline in the clock of the wheel; 0 when not armed. */
  deadline = 0
  /** The tick at which the wheel looks at it, not after its deadline; −1: it is in no bucket. */
  lookAt = -1
  previous: Timer | null = null
  next: Timer | null = null
  readonly fire: () => void

  constructor(fire: () => void) {
    this.fire = fire
  }

  get armed(): boolean {
    return this.deadline !== 0
  }
}

const TICK_MS = 16
const BUCKETS = 4096

/** Rounded up: when the wheel reaches it, the deadline has passed. */
const tickOf = (deadlineMs: number): number => Math.ceil(deadlineMs / TICK_MS)

/**
 * A hashed timer wheel: arm, re-arm and disarm in constant time, accuracy one tick. Deadlines beyond one turn of the
 * wheel (65 s) stay in their bucket and are looked at once per turn. Time comes in with `advance`, in milliseconds.
 *
 * Mostly a timer is put off, or suspended and armed anew, long before it is due. Until the wheel gets there that only notes the
 * deadline: the timer stays in its bucket, and is sorted out then.
 */
export class TimerWheel {
  readonly #buckets: (Timer | null)[] = new Array<Timer | null>(BUCKETS).fill(null)
  #tick: number
  #armed = 0
  /** Nothing is due before this tick. */
  #soonest = 0

  constructor(nowMs: number) {
    this.#tick = Math.floor(nowMs / TICK_MS)
  }

  get armed(): number {
    return this.#armed
  }

  /** Arms or re-arms; a deadline in the past fires at the next `advance`. */
  arm(timer: Timer, deadlineMs: number): void {
    if (timer.deadline === 0) this.#armed++
    // A deadline in a tick that was already visited would wait a whole turn.
    timer.deadline = Math.max(deadlineMs, this.#tick * TICK_MS + 1)
    const tick = tickOf(timer.deadline)
    if (timer.lookAt > this.#tick && timer.lookAt <= tick) return
    this.#unlink(timer)
    this.#link(timer, tick)
  }

  /** Harmless when not armed. The wheel has forgotten it then. */
  disarm(timer: Timer): void {
    this.suspend(timer)
    this.#unlink(timer)
  }

  /** The same for one that will soon be armed again: the wheel holds it until it gets there. */
  suspend(timer: Timer): void {
    if (timer.deadline === 0) return
    timer.deadline = 0
    this.#armed--
  }

  /**
   * Fires everything due at `nowMs`. A timer is disarmed before it fires and may be armed again by it. What it throws
   * comes out here; the timers behind it fire at the next `advance`.
   */
  advance(nowMs: number): void {
    const target = Math.floor(nowMs / TICK_MS)
    if (this.#armed === 0 || target <= this.#tick) {
      if (target > this.#tick) this.#tick = target
      return
    }
    const first = target - this.#tick >= BUCKETS ? target - BUCKETS + 1 : this.#tick + 1
    let tick = first
    try {
      for (; tick <= target; tick++) {
        this.#tick = tick
        this.#fireBucket(tick % BUCKETS, nowMs)
      }
    } finally {
      // After an error the rest of this bucket is still to be fired.
      this.#tick = tick - 1
      this.#soonest = Math.min(this.#soonest, tick)
    }
  }

  /** How long a poll may sleep: until the next occupied bucket, at most `mostMs`; whole milliseconds, rounded up. */
  sleepMs(nowMs: number, mostMs: number): number {
    const most = Math.ceil(mostMs)
    if (this.#armed === 0) return most
    const last = this.#tick + Math.ceil(most / TICK_MS)
    let tick = Math.max(this.#soonest, this.#tick + 1)
    while (tick <= last && !this.#buckets[tick % BUCKETS]) tick++
    // Where it was looked once, it is not looked again with each wake-up.
    this.#soonest = tick
    return tick > last ? most : Math.max(0, Math.min(most, Math.ceil(tick * TICK_MS - nowMs)))
  }

  #fireBucket(bucket: number, nowMs: number): void {
    let timer = this.#buckets[bucket] ?? null
    const due: Timer[] = []
    while (timer) {
      const { next } = timer
      if (timer.deadline !== 0 && timer.deadline <= nowMs) due.push(timer)
      else if (timer.lookAt <= this.#tick) {
        this.#unlink(timer)
        if (timer.deadline !== 0) this.#link(timer, tickOf(timer.deadline))
      }
      timer = next
    }
    for (const one of due) {
      // An earlier one may have disarmed or re-armed it.
      if (one.deadline === 0 || one.deadline > nowMs) continue
      this.disarm(one)
      one.fire()
    }
  }

  #link(timer: Timer, tick: number): void {
    const bucket = tick % BUCKETS
    const head = this.#buckets[bucket] ?? null
    timer.next = head
    if (head) head.previous = timer
    this.#buckets[bucket] = timer
    timer.lookAt = tick
    this.#soonest = Math.min(this.#soonest, tick)
  }

  #unlink(timer: Timer): void {
    if (timer.lookAt < 0) return
    if (timer.previous) timer.previous.next = timer.next
    else this.#buckets[timer.lookAt % BUCKETS] = timer.next
    if (timer.next) timer.next.previous = timer.previous
    timer.previous = null
    timer.next = null
    timer.lookAt = -1
  }
}
