import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/*
 * Publishing: the sources without their types in dist/, which is all that an installed package runs. Another directory
 * may be named.
 */
const root = new URL('../', import.meta.url)
const outDir = process.argv[2] ?? fileURLToPath(new URL('dist', root))
rmSync(outDir, { recursive: true, force: true })
const compiler = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root))
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', outDir], {
  cwd: fileURLToPath(root),
  stdio: 'inherit',
})
process.exitCode = status ?? 1
