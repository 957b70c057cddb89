import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type TarEntry, TarReader } from './tar-reader.ts'

interface Received {
  readonly entries: TarEntry[]
  readonly contents: Buffer[]
  files: number
}

function receiver() {
  const received: Received = { entries: [], contents: [], files: 0 }
  let parts: Buffer[] = []
  const reader = new TarReader({
    entry: (entry) => received.entries.push(entry),
    data: (bytes) => parts.push(Buffer.from(bytes)),
    fileEnd: () => {
      received.contents.push(Buffer.concat(parts))
      received.files++
      parts = []
    },
  })
  return { reader, received }
}

function header(fields: {
  name: string
  type?: string
  size?: number | Buffer
  target?: string
  prefix?: string
}): Buffer {
  const block = Buffer.alloc(512)
  block.write(fields.name, 0, 100)
  block.write('0000600\0', 100)
  const size = fields.size ?? 0
  if (Buffer.isBuffer(size)) size.copy(block, 124)
  else block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write(fields.type ?? '0', 156)
  block.write(fields.target ?? '', 157)
  block.write('ustar\x0000', 257)
  block.write(fields.prefix ?? '', 345)
  return withChecksum(block)
}

function withChecksum(block: Buffer): Buffer {
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

function file(name: string, content: Buffer): Buffer {
  return Buffer.concat([
    header({ name, size: content.length }),
    content,
    Buffer.alloc((512 - (content.length % 512)) % 512),
  ])
}

const endMark = Buffer.alloc(1024)

function read(archive: Buffer): Received {
  const { reader, received } = receiver()
  reader.push(archive)
  reader.end()
  return received
}

test('an archive gives the same entries and bytes however it is split', () => {
  const contents = [Buffer.alloc(0), Buffer.from('18\n'), Buffer.alloc(512, 7), Buffer.alloc(1300, 9)]
  const archive = Buffer.concat([
    header({ name: 'base/', type: '5' }),
    ...contents.map((content, index) => file(`base/${index}`, content)),
    header({ name: 'pg_tblspc/1', type: '2', target: '/elsewhere' }),
    endMark,
  ])
  const cuts = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(cuts, (lengths) => {
      const { reader, received } = receiver()
      for (let offset = 0, i = 0; offset < archive.length; i++) {
        const end = offset + lengths[i % lengths.length]!
        reader.push(archive.subarray(offset, end))
        offset = end
      }
      reader.end()
      assert.deepEqual(received.entries, [
        { kind: 'directory', path: 'base' },
        ...contents.map((content, index) => ({ kind: 'file', path: `base/${index}`, size: content.length })),
        { kind: 'link', path: 'pg_tblspc/1', target: '/elsewhere' },
      ])
      assert.deepEqual(received.contents, contents)
    }),
    { numRuns: 60 },
  )
})

test('an archive that comes byte by byte is read as well', () => {
  const { reader, received } = receiver()
  for (const byte of Buffer.concat([file('PG_VERSION', Buffer.from('18\n')), endMark])) reader.push(Buffer.from([byte]))
  reader.end()
  assert.deepEqual(received.contents, [Buffer.from('18\n')])
})

test('a base-256 size of a file beyond 8 GiB is understood', () => {
  const size = Buffer.alloc(12)
  size[0] = 0x80
  size.writeBigUInt64BE(9n * 1024n ** 3n + 5n, 4)
  const { reader, received } = receiver()
  reader.push(header({ name: 'base/1/2', size }))
  assert.deepEqual(received.entries, [{ kind: 'file', path: 'base/1/2', size: 9 * 1024 ** 3 + 5 }])
  assert.throws(() => reader.end(), /ends before it is complete/)
})

test('a base-256 size that no file can have is refused', () => {
  const { reader } = receiver()
  assert.throws(() => reader.push(header({ name: 'x', size: Buffer.alloc(12, 0xff) })), /larger than any file system/)
  const wide = Buffer.alloc(12, 0xff)
  wide.writeUInt32BE(0x80000000, 0)
  assert.throws(() => receiver().reader.push(header({ name: 'x', size: wide })), /larger than any file system/)
})

test('paths that leave the directory are refused, in the name and in the prefix', () => {
  for (const name of ['../evil', 'base/../../evil', '/etc/passwd', '..', '']) {
    assert.throws(() => read(header({ name })), /leaves the directory/, name)
  }
  assert.throws(() => read(header({ name: 'x', prefix: '../base' })), /leaves the directory/)
})

test('dots, doubled and closing slashes are taken out of a path, and names with dots in them are kept', () => {
  const archive = Buffer.concat([
    header({ name: './', type: '5' }),
    header({ name: './base//1/', type: '5' }),
    header({ name: 'a..b', prefix: 'long' }),
    endMark,
  ])
  assert.deepEqual(
    read(archive).entries.map((entry) => entry.path),
    ['', 'base/1', 'long/a..b'],
  )
})

test('a damaged header is noticed by its checksum', () => {
  const block = header({ name: 'PG_VERSION' })
  block[3]! ^= 1
  assert.throws(() => read(block), /checksum of a header does not match/)
})

test('devices, pipes and other unknown entries are refused by name', () => {
  assert.throws(() => read(header({ name: 'pipe', type: '6' })), /unknown type "6": pipe/)
})

test('an archive is complete only with its end mark', () => {
  const { reader } = receiver()
  reader.push(file('x', Buffer.from('y')))
  assert.throws(() => reader.end(), /ends before it is complete/)
  reader.push(Buffer.alloc(512))
  assert.throws(() => reader.end(), /ends before it is complete/)
  reader.push(Buffer.alloc(512))
  reader.end()
  reader.push(Buffer.alloc(1024))
  reader.end()
  assert.throws(() => reader.push(file('late', Buffer.from('y'))), /goes on after its end mark/)
})
