import { writeFileSync } from 'node:fs'
import { configDocs } from '../src/config/config-docs.ts'
import { configJsonSchema } from '../src/config/json-schema.ts'

const docs = new URL('../docs/', import.meta.url)

writeFileSync(new URL('config.md', docs), configDocs())
writeFileSync(new URL('config.schema.json', docs), `${JSON.stringify(configJsonSchema(), null, 2)}\n`)
