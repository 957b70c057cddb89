import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Deferrable, DeferredWork } from './deferred.ts'

class Work implements Deferrable {
  isDeferred = false
  readonly #run: () => void
  readonly faults: unknown[] = []

  constructor(run: () => void) {
    this.#run = run
  }

  runDeferred(): void {
    this.#run()
  }

  onFault(error: unknown): void {
    this.faults.push(error)
  }
}

test('work waits until it is run, and then goes in the order in which it came, once', () => {
  const deferred = new DeferredWork(() => {})
  const story: string[] = []
  const [a, b] = ['a', 'b'].map((name) => new Work(() => story.push(name)))
  assert.ok(a && b)
  for (const one of [a, b, a]) deferred.add(one)
  assert.deepEqual([story, a.isDeferred], [[], true])
  deferred.run()
  deferred.run()
  assert.deepEqual([story, a.isDeferred, b.isDeferred], [['a', 'b'], false, false])
})

test('what is added while it runs runs too, the one that runs included', () => {
  const deferred = new DeferredWork(() => {})
  const story: string[] = []
  const late = new Work(() => story.push('late'))
  const again: Work = new Work(() => {
    story.push('again')
    deferred.add(late)
    if (story.length < 3) deferred.add(again)
  })
  deferred.add(again)
  deferred.run()
  assert.deepEqual(story, ['again', 'late', 'again', 'late'])
})

test('work that throws is told so itself, and the rest runs', () => {
  const deferred = new DeferredWork(() => {})
  let ran = false
  const broken = new Work(() => {
    throw new Error('broken')
  })
  deferred.add(broken)
  deferred.add(
    new Work(() => {
      ran = true
    }),
  )
  deferred.run()
  assert.equal(ran, true)
  assert.deepEqual(broken.faults, [new Error('broken')])
})
