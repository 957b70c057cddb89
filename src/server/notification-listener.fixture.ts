import type { TestContext } from 'node:test'
import type { ErrorFields } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { ListenerSet } from './listener-set.ts'
import type { ListenerCounter, ListenerHost, NotificationListener } from './notification-listener.ts'
import { openPool, type PoolBench } from './server-pool.fixture.ts'
import type { TestBackend } from './shard-peer.fixture.ts'
import type { ListeningPlace, Subscriber } from './subscriber.ts'

/** What a server says that lets nobody in. */
export const FATAL = (sqlstate: string): ErrorFields => ({ severity: 'FATAL', sqlstate, message: 'no' })

class TestSubscriber implements Subscriber {
  pool: ListeningPlace | null
  readonly story: string[] = []
  /** Asks again when its question is lost, as a session does. */
  listener: NotificationListener | null = null

  constructor(pool: ListeningPlace | null) {
    this.pool = pool
  }

  onNotification(channel: string, message: Buffer): void {
    this.story.push(`${channel} ${message.toString('utf8', 9 + channel.length + 1, message.length - 1)}`)
  }

  onSynced(): void {
    this.story.push('synced')
  }

  onSyncLost(): void {
    this.story.push('lost')
    this.listener?.sync(this)
  }

  onListenerFailed({ sqlstate }: ErrorFields): void {
    this.story.push(`failed ${sqlstate}`)
  }

  onGap(milliseconds: number): void {
    this.story.push(`gap ${milliseconds}`)
  }
}

/** A listener among subscribers. */
interface Bench extends PoolBench {
  readonly set: ListenerSet
  readonly listener: NotificationListener
  readonly counts: Map<ListenerCounter, number>
  subscriber(): TestSubscriber
  /** The backend that listens now. */
  backend(): TestBackend
  /** What it was asked, since the last look. */
  asked(): string[]
  maintain(seconds: number): void
}

/** A listener, its shard and pool, closed after the test. */
export function openListener(t: TestContext): Bench {
  const subscribers: TestSubscriber[] = []
  let close = (): void => {}
  // Before the pool's own end of the test.
  t.after(() => close())
  const bench = openPool(t)
  const { host, pool, shard } = bench
  const counts = new Map<ListenerCounter, number>()
  const listenerHost: ListenerHost = Object.assign(host, {
    countPlane: (field: ListenerCounter) => counts.set(field, (counts.get(field) ?? 0) + 1),
  })
  const set = new ListenerSet(listenerHost)
  const listener = set.for(pool, 'UTF8')
  close = () => {
    for (const each of subscribers) each.pool = null
    listener.close('test is over')
    host.settle()
  }
  const looked = new Map<TestBackend, number>()
  return {
    ...bench,
    set,
    listener,
    counts,
    subscriber: () => {
      const subscriber = new TestSubscriber(pool)
      subscribers.push(subscriber)
      return subscriber
    },
    backend: () => shard.open.at(-1) as TestBackend,
    asked: () => {
      const backend = shard.open.at(-1) as TestBackend
      const from = looked.get(backend) ?? 0
      looked.set(backend, backend.queries.length)
      return backend.queries.slice(from)
    },
    maintain: (seconds) => {
      for (let second = 0; second < seconds; second++) {
        host.pass(1000)
        set.maintain(host.now)
        host.settle()
      }
    },
  }
}

/** The server tells of a notification. */
export function notify(backend: TestBackend, channel: string, payload: string): void {
  const writer = new MessageWriter()
  backend.send(Buffer.from(writer.begin(0x41).int32(77).text(channel).text(payload).end().bytes))
}
