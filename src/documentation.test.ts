import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')
const PAGE = 'docs/compatibility.md'
const page = readFileSync(join(root, PAGE), 'utf8')
/** A link to a file of this repository, without its anchor; behind a test file may stand how the name of the test begins. */
const LINK = /\]\((?!https?:)([^)#\s]+)[^)]*\)(?:, "([^"]+)")?/g

interface FileLink {
  readonly file: string
  readonly name: string | undefined
}

/** What `text` of the page at `path` links to. */
function linksOf(text: string, path: string): FileLink[] {
  return [...text.matchAll(LINK)].map(([, to, name]) => ({ file: join(root, dirname(path), to ?? ''), name }))
}

/** From each `- ` to the next line that is not indented. */
function bulletsOf(text: string): string[] {
  return [...text.matchAll(/^- .*(?:\n {2}.*)*/gm)].map(([bullet]) => bullet)
}

test('links between files of the repository lead somewhere', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })]
  for (const path of pages) {
    const missing = linksOf(readFileSync(join(root, path), 'utf8'), path).filter(({ file }) => !existsSync(file))
    assert.deepEqual(missing, [], path)
  }
})

test('each difference from a direct connection names a test that shows it', () => {
  const bullets = bulletsOf(page)
  assert.ok(bullets.length > 50)
  for (const bullet of bullets) assert.ok(linksOf(bullet, PAGE).some(isTest), `names no test: ${bullet}`)
  for (const section of page.split(/^## /m).slice(1))
    assert.ok(linksOf(section, PAGE).some(isTest), section.slice(0, 40))
})

test('tests that are named are there', () => {
  for (const { file, name } of linksOf(page, PAGE)) {
    if (name !== undefined) assert.ok(readFileSync(file, 'utf8').includes(name), `${file} has no test "${name}"`)
  }
})

function isTest({ file }: FileLink): boolean {
  return file.endsWith('.test.ts')
}
