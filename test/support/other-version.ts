import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

export interface OtherVersion {
  readonly version: string
  /** Changes to the text of `src/memory/layout.ts`. */
  readonly layout?: (source: string) => string
}

/** This checkout's program as another version of itself, installed in `directory`; returns its path. */
export function installOtherVersion(directory: string, { version, layout }: OtherVersion): string {
  mkdirSync(directory)
  for (const part of ['src', 'bin', 'config']) {
    cpSync(join(ROOT, part), join(directory, part), { recursive: true, filter: (path) => !path.endsWith('.test.ts') })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ ...manifest, version }))
  if (layout !== undefined) {
    const file = join(directory, 'src/memory/layout.ts')
    writeFileSync(file, layout(readFileSync(file, 'utf8')))
  }
  return join(directory, 'bin/switchyard.js')
}
