#!/usr/bin/env node
/*
 * Runs the built program of an installed package, or the sources of a checkout. This file is read by whatever Node.js
 * is there, so it uses nothing that an old one does not know.
 */
import { existsSync } from 'node:fs'

const NEEDED = [22, 18]

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  process.stderr.write(
    `Switchyard needs Node.js ${NEEDED.join('.')} or newer, and this is ${process.versions.node} ` +
      `(${process.execPath}). Install a newer one from https://nodejs.org; in a checkout, "npm start" and ` +
      '"npm run switchyard" use the right one after "npm ci".\n',
  )
  process.exit(1)
}

const sources = new URL('../src/main.ts', import.meta.url)
if (existsSync(sources)) {
  await import('./checkout.js')
  await import(sources.href)
} else {
  await import('../dist/main.js')
}
