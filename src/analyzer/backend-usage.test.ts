import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CLIENT } from '../memory/client-slots.ts'
import { SERVER_F32, SERVER_F64 } from '../memory/server-slots.ts'
import { TestAnalyzer } from './analyzer.fixture.ts'
import { FEATURE } from './feature-schema.ts'
import { readProfile } from './profile-report.ts'

const SERVER = 0

/** A client that is served by the only server connection. */
function served(): TestAnalyzer {
  const test = new TestAnalyzer()
  test.connect(3)
  const { clients } = test.memory
  clients.i32[3 * (clients.recordBytes >> 2) + CLIENT.server] = SERVER + 1
  return test
}

function sample(test: TestAnalyzer, usage: Partial<Record<keyof typeof SERVER_F32, number>>): void {
  const { f32, f64 } = test.memory.servers
  for (const [name, at] of Object.entries(SERVER_F32)) f32[at] = usage[name as keyof typeof SERVER_F32] ?? Number.NaN
  f64[SERVER_F64.usageAt] = test.now
}

const seen = (test: TestAnalyzer, feature: keyof typeof FEATURE): number =>
  readProfile(test.memory, 3, null, test.now)?.features[FEATURE[feature]] as number

describe('what the server process of a client uses', () => {
  it('becomes part of its profile while the process serves it, half of it new each time', () => {
    const test = served()
    test.now += 10
    sample(test, { cpu: 0.8, memory: 8, read: 3, write: 0 })
    test.request(3)
    assert.ok(Math.abs(seen(test, 'backendCpu') - 0.8) < 1e-6)
    assert.equal(seen(test, 'backendMemory'), 3)
    assert.equal(seen(test, 'backendRead'), 2)
    assert.equal(seen(test, 'backendWrite'), 0)
    test.now += 10
    sample(test, { cpu: 0.4, memory: 8, read: 3, write: 0 })
    test.request(3)
    assert.ok(Math.abs(seen(test, 'backendCpu') - 0.6) < 1e-6)
  })

  it('counts once, and not when it was measured before the client came', () => {
    const test = served()
    sample(test, { cpu: 1 })
    test.now += 10
    test.connect(3)
    const { clients } = test.memory
    clients.i32[3 * (clients.recordBytes >> 2) + CLIENT.server] = SERVER + 1
    test.request(3)
    assert.equal(seen(test, 'backendCpu'), Number.NaN)
    sample(test, { cpu: 1 })
    test.request(3)
    sample(test, { cpu: 0 })
    test.memory.servers.f64[SERVER_F64.usageAt] = test.now - 2
    test.request(3)
    assert.equal(seen(test, 'backendCpu'), 1)
  })

  it('leaves what cannot be known at what it was', () => {
    const test = served()
    test.now += 10
    sample(test, { read: 7 })
    test.request(3)
    assert.equal(seen(test, 'backendCpu'), Number.NaN)
    assert.equal(seen(test, 'backendMemory'), Number.NaN)
    assert.equal(seen(test, 'backendRead'), 3)
  })
})
