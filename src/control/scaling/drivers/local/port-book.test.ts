import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { isPortFree, PortBook } from './port-book.ts'

const blocker = createServer()
let taken = 0

before(async () => {
  blocker.listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  taken = (blocker.address() as AddressInfo).port
})

after(() => blocker.close())

test('a shard keeps the port it had, as long as nobody else took it', async () => {
  const port = await new PortBook({}, new Map()).portFor('shard-1')
  assert.equal(await isPortFree(port), true)
  const book = new PortBook({ 'shard-1': port, 'shard-2': taken }, new Map())
  assert.equal(await book.portFor('shard-1'), port)
  assert.notEqual(await book.portFor('shard-2'), taken)
  assert.equal(book.ports['shard-1'], port)
})

test('a port that the operator chose goes before the remembered one, and is an error when taken', async () => {
  const port = await new PortBook({}, new Map()).portFor('shard-1')
  const book = new PortBook(
    { 'shard-1': 1 },
    new Map([
      ['shard-1', port],
      ['shard-2', taken],
    ]),
  )
  assert.equal(await book.portFor('shard-1'), port)
  await assert.rejects(book.portFor('shard-2'), new RegExp(`Port ${taken} .* shard-2, is taken`))
})

test('shards that choose at the same time get different ports', async () => {
  const book = new PortBook({}, new Map())
  const ports = await Promise.all(Array.from({ length: 50 }, (_, index) => book.portFor(`shard-${index}`)))
  assert.equal(new Set(ports).size, 50)
})
