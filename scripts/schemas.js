// Writes schemas/output-v1.json and schemas/event-v1.json from the types of what the commands return and the engine tells.
// A new command, or a new field of a result: `node scripts/schemas.js`, and commit what changed. `--check` only compares.
import {readdirSync, readFileSync, writeFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {API, SignatureKind, SymbolFlags, TypeFlags} from 'typescript/unstable/sync'

const root = fileURLToPath(new URL('..', import.meta.url))
const DRAFT = 'http://json-schema.org/draft-07/schema#'

/** Of JSON.stringify and what src/lib/render/error.ts does to collections. */
const LISTS = ['Array', 'ReadonlyArray', 'Set', 'ReadonlySet']
const MAPS = ['Map', 'ReadonlyMap']
const NOTHING = TypeFlags.Undefined | TypeFlags.Void

/** The definitions that one schema needs, as they are met. */
class Definitions {
  #checker
  #byName = new Map()
  #names = new Map()

  constructor(checker) {
    this.#checker = checker
  }

  /** For "$defs", by name. */
  all() {
    return Object.fromEntries([...this.#byName].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Of what JSON.stringify makes of a value of this type. */
  schemaOf(type) {
    const name = nameOf(type)
    if (name === undefined) return this.#describe(type)
    const known = this.#names.get(name)
    if (known !== undefined && known !== type.id) throw new Error(`two types are called ${name}: rename one of them`)
    if (known === undefined) {
      this.#names.set(name, type.id)
      this.#byName.set(name, {})
      this.#byName.set(name, {
        ...described(type.getAliasSymbol() ?? type.getSymbol(), this.#checker),
        ...this.#describe(type),
      })
    }
    return {$ref: `#/$defs/${name}`}
  }

  #describe(type) {
    const {flags} = type
    if (type.isErrorType()) throw new Error('a type that cannot be found out')
    if (flags & (TypeFlags.Any | TypeFlags.Unknown)) return {}
    if (flags & TypeFlags.Null) return {type: 'null'}
    if (flags & (TypeFlags.StringLiteral | TypeFlags.NumberLiteral | TypeFlags.BooleanLiteral))
      return {const: type.value}
    if (flags & (TypeFlags.String | TypeFlags.BigInt | TypeFlags.TemplateLiteral)) return {type: 'string'}
    if (flags & TypeFlags.Number) return {type: 'number'}
    if (flags & TypeFlags.Boolean) return {type: 'boolean'}
    if (type.isUnionType()) return this.#union(type.getTypes())
    if (flags & TypeFlags.NonPrimitive) return {type: 'object'}
    const symbol = type.getSymbol()?.name ?? ''
    if (type.isTupleType()) return this.#tuple(type)
    if (LISTS.includes(symbol)) return {type: 'array', items: this.#item(this.#checker.getTypeArguments(type)[0])}
    if (MAPS.includes(symbol)) {
      return {type: 'object', additionalProperties: this.schemaOf(this.#checker.getTypeArguments(type)[1])}
    }
    if (type.isObjectType() || type.isIntersectionType()) return this.#object(type)
    throw new Error(`no schema is known for ${symbol || `a type with flags ${flags}`}`)
  }

  #union(all) {
    const types = all.filter(({flags}) => !(flags & NOTHING))
    const isBoolean = types.filter(({flags}) => flags & TypeFlags.BooleanLiteral).length === 2
    const rest = isBoolean ? types.filter(({flags}) => !(flags & TypeFlags.BooleanLiteral)) : types
    const literals = rest.filter(({flags}) => flags & (TypeFlags.StringLiteral | TypeFlags.NumberLiteral))
    const others = rest.filter((type) => !literals.includes(type)).map((type) => this.schemaOf(type))
    if (isBoolean) others.push({type: 'boolean'})
    if (literals.length === 1) others.push({const: literals[0].value})
    if (literals.length > 1) others.push({enum: literals.map(({value}) => value).sort()})
    return others.length === 1 ? others[0] : {anyOf: others}
  }

  #tuple(type) {
    const items = this.#checker.getTypeArguments(type).map((one) => this.#item(one))
    return {type: 'array', items, minItems: items.length, maxItems: items.length}
  }

  /** undefined in a list becomes null. */
  #item(type) {
    const schema = this.schemaOf(type)
    return canBeAbsent(type) ? {anyOf: [schema, {type: 'null'}]} : schema
  }

  /** Fields may be added in version 1: none is forbidden. */
  #object(type) {
    const properties = {}
    const required = []
    for (const property of this.#checker.getPropertiesOfType(type)) {
      const own = this.#checker.getTypeOfSymbol(property)
      if (this.#checker.getSignaturesOfType(own, SignatureKind.Call).length > 0) continue
      if (own.flags & NOTHING || own.flags & TypeFlags.Never) continue
      try {
        properties[property.name] = {...described(property, this.#checker), ...this.schemaOf(own)}
      } catch (error) {
        throw new Error(`${property.name}: ${error.message}`)
      }
      if (!(property.flags & SymbolFlags.Optional) && !canBeAbsent(own)) required.push(property.name)
    }
    const index = this.#checker.getIndexInfosOfType(type)[0]
    return {
      type: 'object',
      ...(required.length > 0 ? {required} : {}),
      ...(Object.keys(properties).length > 0 ? {properties} : {}),
      ...(index ? {additionalProperties: this.schemaOf(index.valueType)} : {}),
    }
  }
}

/** JSON.stringify leaves the field out. */
function canBeAbsent(type) {
  return type.isUnionType() && type.getTypes().some(({flags}) => flags & NOTHING)
}

/** Of interfaces and of aliases of objects, unless they are generic. */
function nameOf(type) {
  const alias = type.getAliasSymbol()
  if (alias) {
    const isPlain = type.getAliasTypeArguments().length === 0 && !(type.flags & TypeFlags.Boolean)
    return isPlain && !canBeAbsent(type) ? alias.name : undefined
  }
  const symbol = type.getSymbol()
  const isOurs =
    symbol && symbol.flags & SymbolFlags.Interface && !LISTS.includes(symbol.name) && !MAPS.includes(symbol.name)
  return isOurs ? symbol.name : undefined
}

function described(symbol, checker) {
  const description = symbol
    ?.getDocumentationComment(checker)
    .replace(/\s+/g, ' ')
    .replace(/\bundefined\b/g, 'absent')
    .trim()
  return description ? {description} : {}
}

/** "explain slot", with what its run() returns; those that print JSON. */
function commandsOf({program, checker}) {
  const folder = path.join(root, 'src/commands')
  const files = readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter((name) => name.endsWith('.ts'))
  return files
    .filter((name) => !name.startsWith('drop-in'))
    .filter((name) => !readFileSync(path.join(folder, name), 'utf8').includes('enableJsonFlag = false'))
    .sort()
    .map((name) => {
      const module = checker.getSymbolAtLocation(program.getSourceFile(path.join(folder, name)))
      const command = checker.getDeclaredTypeOfSymbol(checker.getMemberInModuleExports(module, 'default'))
      const run = checker.getTypeOfSymbol(checker.getPropertyOfType(command, 'run'))
      const [signature] = checker.getSignaturesOfType(run, SignatureKind.Call)
      const [result] = checker.getTypeArguments(checker.getReturnTypeOfSignature(signature))
      return {command: name.slice(0, -3).replaceAll(path.sep, ' '), result}
    })
}

function exportedType({program, checker}, file, name) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(path.join(root, file)))
  return checker.getDeclaredTypeOfSymbol(checker.getMemberInModuleExports(module, name))
}

/** Objects with this value of that field are as `then` says. */
function when(field, value, {required, properties}) {
  return {
    if: {type: 'object', required: [field], properties: {[field]: {const: value}}},
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: {
      type: 'object',
      required,
      properties: {...Object.fromEntries(required.map((name) => [name, {}])), ...properties},
    },
  }
}

const nameOfResult = (command) => `result-${command.replaceAll(' ', '-')}`
const refOf = (command) => `#/$defs/${nameOfResult(command)}`

/** Of commands that can save their plans. */
const PLAN_FILE = {
  type: 'object',
  properties: {planFile: {type: 'string', description: 'With --out: the file that was written.'}},
}

function outputSchema(project) {
  const definitions = new Definitions(project.checker)
  const commands = commandsOf(project)
  const planned = JSON.parse(readFileSync(path.join(root, 'schemas/plan-v1.json'), 'utf8')).properties.command
    .properties.name
  const results = {}
  for (const {command, result} of commands) {
    try {
      const schema = definitions.schemaOf(result)
      results[nameOfResult(command)] = planned.enum.includes(command) ? {allOf: [schema, PLAN_FILE]} : schema
    } catch (error) {
      throw new Error(`what ${command} returns: ${error.message}`)
    }
  }
  // It returns what the command of the plan returns, or what came of a declared cluster.
  const declared = definitions.schemaOf(exportedType(project, 'src/lib/cli/declared-cluster.ts', 'DeclaredReport'))
  results[nameOfResult('apply')] = {anyOf: [...planned.enum.map((name) => ({$ref: refOf(name)})), declared]}
  const failure = exportedType(project, 'src/lib/render/error.ts', 'ErrorDocument')
  const error = definitions.schemaOf(
    project.checker.getTypeOfSymbol(project.checker.getPropertyOfType(failure, 'error')),
  )
  return {
    $schema: DRAFT,
    title: 'What rcluster prints with --json',
    description:
      'One document on stdout. Fields may be added in version 1: readers pass over those that they do not know. Written by scripts/schemas.js.',
    type: 'object',
    required: ['version', 'command', 'ok', 'warnings'],
    properties: {
      version: {const: 1},
      command: {
        type: 'string',
        description: 'As it is typed: "explain slot". Of failures also what was typed instead of a command.',
      },
      ok: {type: 'boolean'},
      warnings: {type: 'array', items: {type: 'string'}},
      result: {type: 'object', description: 'Where ok is true.'},
      error: {$ref: '#/$defs/error'},
    },
    allOf: [
      when('ok', true, {
        required: ['result'],
        properties: {error: false, command: {enum: commands.map(({command}) => command)}},
      }),
      when('ok', false, {required: ['error'], properties: {result: false}}),
      ...commands.map(({command}) =>
        when('command', command, {required: [], properties: {result: {$ref: refOf(command)}}}),
      ),
    ],
    $defs: {error, ...results, ...definitions.all()},
  }
}

function eventSchema(project) {
  const definitions = new Definitions(project.checker)
  const type = exportedType(project, 'src/lib/engine/events.ts', 'EngineEvent')
  const kinds = type.getTypes().map((one) => definitions.schemaOf(one))
  return {
    $schema: DRAFT,
    title: 'A line that rcluster prints with --progress ndjson',
    description:
      'On stderr, one object a line. Kinds and fields may be added in version 1: readers pass over those that they do not know. Written by scripts/schemas.js.',
    type: 'object',
    required: ['time', 'kind'],
    properties: {
      time: {type: 'string', description: 'ISO 8601, UTC'},
      kind: {enum: kinds.map((one) => one.properties.kind.const)},
    },
    allOf: kinds.map(({properties: {kind, ...properties}, required}) =>
      when('kind', kind.const, {required: required.filter((name) => name !== 'kind'), properties}),
    ),
    $defs: definitions.all(),
  }
}

const api = new API({cwd: root})
const project = api.updateSnapshot({openProjects: [path.join(root, 'tsconfig.json')]}).getProjects()[0]
const schemas = {'output-v1.json': outputSchema(project), 'event-v1.json': eventSchema(project)}
api.close()

for (const [name, schema] of Object.entries(schemas)) {
  const file = path.join(root, 'schemas', name)
  const text = `${JSON.stringify(schema, null, 2)}\n`
  if (!process.argv.includes('--check')) {
    writeFileSync(file, text)
  } else if (text !== readFileSync(file, 'utf8')) {
    console.error(`schemas/${name} is not what the types say: run node scripts/schemas.js, and commit it`)
    process.exitCode = 1
  }
}
