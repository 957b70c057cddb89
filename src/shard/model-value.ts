/**
 * A tier model on its way from control to planes: the JSON of a model file, which `analyzer/tier-model.ts` checks and
 * understands.
 */
export type ModelValue = { readonly [name: string]: unknown }
