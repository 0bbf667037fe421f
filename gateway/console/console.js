// The console's page: one operation at a time, over HTTP or as an event stream. No library, and nothing from elsewhere.

const element = (id) => document.getElementById(id)
const [key, query, variables, answer, status, stop] = ['key', 'query', 'variables', 'answer', 'status', 'stop'].map(
  element,
)

/** Those with variables are about one company: the one that an answer showed last. */
const examples = {
  'Companies of all shards': {
    query: `query Companies {
  companies(first: 5) {
    nodes {
      id
      name
      sector { name }
      ledger {
        size
        head
        records(last: 3) { nodes { position kind recordedAt } }
      }
    }
  }
}`,
  },
  'One company by its symbol': {
    query: `query BySymbol($symbol: String!) {
  companyByIdentifier(scheme: "symbol", value: $symbol) {
    id
    name
    identifiers { scheme value }
  }
}`,
    variables: () => ({ symbol: 'MMM' }),
  },
  'Append a record': {
    query: `mutation Append($company: ID!) {
  appendRecords(input: {
    companyId: $company
    records: [{
      kind: "note.added"
      source: "console"
      stream: "notes"
      data: { text: "Written in the console" }
    }]
  }) {
    position
    records { id position leaf previousLeaf }
  }
}`,
    variables: () => ({ company }),
  },
  'Every new record of a company, live': {
    query: `subscription Records($company: ID!) {
  recordAppended(companyId: $company) {
    cursor
    record { position kind stream data company { name } }
  }
}`,
    variables: () => ({ company }),
  },
}

const maxEvents = 500
let running
let company = sessionStorage.getItem('company') ?? 'run an example with companies first'

// The key stays in this tab and goes when it closes.
key.value = sessionStorage.getItem('key') ?? ''
element('sandbox').href =
  `https://studio.apollographql.com/sandbox/explorer?endpoint=${encodeURIComponent(`${location.origin}/graphql`)}`
for (const name of Object.keys(examples)) element('examples').append(new Option(name, name))
element('examples').addEventListener('change', (event) => showExample(event.target.value))
element('controls').addEventListener('submit', (event) => {
  event.preventDefault()
  void start()
})
stop.addEventListener('click', () => running?.abort())
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) element('controls').requestSubmit()
})
element('search').addEventListener('input', () => showTypes())
showExample(Object.keys(examples)[0])
query.value = sessionStorage.getItem('query') ?? query.value
variables.value = sessionStorage.getItem('variables') ?? variables.value

function showExample(name) {
  const example = examples[name]
  query.value = example.query
  variables.value = JSON.stringify(example.variables?.() ?? {}, null, 2)
}

/** For the examples that need one. */
function rememberCompany(data) {
  const found = data?.companies?.nodes?.[0]?.id ?? data?.companyByIdentifier?.id
  if (typeof found !== 'string') return
  company = found
  sessionStorage.setItem('company', found)
}

function headers() {
  const sent = { 'content-type': 'application/json' }
  if (key.value !== '') sent.authorization = `Bearer ${key.value}`
  return sent
}

async function start() {
  running?.abort()
  running = new AbortController()
  const { signal } = running
  sessionStorage.setItem('key', key.value)
  sessionStorage.setItem('query', query.value)
  sessionStorage.setItem('variables', variables.value)
  stop.disabled = false
  status.textContent = 'Running …'
  answer.textContent = ''
  const startedMs = performance.now()
  try {
    const body = JSON.stringify({ query: query.value, variables: JSON.parse(variables.value || '{}') })
    const stream = /^\s*subscription\b/m.test(query.value)
    const response = await fetch(stream ? '/graphql/stream' : '/graphql', {
      method: 'POST',
      headers: stream ? { ...headers(), accept: 'text/event-stream' } : headers(),
      body,
      signal,
    })
    if (stream && response.ok) {
      status.textContent = 'Subscribed.'
      await showEvents(response.body)
      status.textContent = 'The stream has ended.'
    } else {
      const result = await response.json()
      answer.textContent = JSON.stringify(result, null, 2)
      rememberCompany(result.data)
      const cache = response.headers.get('ledgerway-cache')
      const ms = Math.round(performance.now() - startedMs)
      status.textContent = `${response.status} in ${ms} ms${cache === null ? '' : `, cache: ${cache}`}`
    }
  } catch (error) {
    if (running.signal !== signal) return
    status.textContent = signal.aborted
      ? 'Stopped.'
      : error instanceof SyntaxError
        ? `Variables: ${error.message}`
        : String(error)
  }
  if (running.signal === signal) stop.disabled = true
}

async function showEvents(body) {
  let rest = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const data = block.split('\n').find((line) => line.startsWith('data: {'))
      if (data === undefined) continue
      answer.prepend(`${JSON.stringify(JSON.parse(data.slice(6)), null, 2)}\n\n`)
      while (answer.childNodes.length > maxEvents) answer.lastChild.remove()
    }
  }
}

const introspection = `{ __schema { types { name kind description
  fields { name description type { ...T } args { name type { ...T } } }
  inputFields { name type { ...T } } enumValues { name } } } }
fragment T on __Type { name kind ofType { name kind ofType { name kind ofType { name kind } } } }`
let types = []

function typeText(type) {
  if (type === null || type === undefined) return ''
  if (type.kind === 'NON_NULL') return `${typeText(type.ofType)}!`
  return type.kind === 'LIST' ? `[${typeText(type.ofType)}]` : type.name
}

function showTypes() {
  const wanted = element('search').value.trim().toLowerCase()
  const matches = (text) => text.toLowerCase().includes(wanted)
  const named = types.filter(({ name }) => matches(name))
  const others = types.filter(({ name }) => !matches(name))
  element('types').replaceChildren(
    ...named.map((type) => typeDetails(type.name, fieldLines(type), wanted !== '')),
    ...others.flatMap((type) => {
      const lines = fieldLines(type).filter(matches)
      return lines.length === 0 ? [] : [typeDetails(type.name, lines, true)]
    }),
  )
}

function fieldLines(type) {
  return [...(type.fields ?? []), ...(type.inputFields ?? []), ...(type.enumValues ?? [])].map((field) => {
    const given = field.args?.length ? `(${field.args.map((a) => `${a.name}: ${typeText(a.type)}`).join(', ')})` : ''
    return `${field.name}${given}${field.type === undefined ? '' : `: ${typeText(field.type)}`}`
  })
}

function typeDetails(name, lines, open) {
  const details = document.createElement('details')
  details.open = open
  const summary = document.createElement('summary')
  summary.textContent = name
  details.append(summary)
  for (const line of lines) {
    const paragraph = document.createElement('p')
    paragraph.textContent = line
    details.append(paragraph)
  }
  return details
}

/** What one begins with comes first. */
function rank({ name }) {
  const place = ['Query', 'Mutation', 'Subscription'].indexOf(name)
  return place < 0 ? 3 : place
}

async function loadTypes() {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: headers(),
    body: JSON.stringify({ query: introspection }),
  })
  const { data } = await response.json()
  types = (data?.__schema.types ?? [])
    .filter(({ name, kind }) => !name.startsWith('__') && kind !== 'SCALAR')
    .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))
  showTypes()
}

void loadTypes()
