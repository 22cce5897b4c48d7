/** Certificate authorities of a test, and what they sign, as PEM files in one folder: NAME.pem and NAME.key. */
import {execFileSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export interface CertificateOptions {
  /** subjectAltName, "DNS:a.example,IP:127.0.0.1"; none without. */
  readonly names?: string
  /** Who signs; by itself without. */
  readonly signer?: string
  /** From now on; -1: it has expired. */
  readonly days?: number
  /** It may sign others. */
  readonly isAuthority?: boolean
}

export interface Certificates {
  /** The path of a file in the folder. */
  file(name: string): string
  read(name: string): Buffer
  issue(name: string, options?: CertificateOptions): void
  /** NAME.pem becomes what is in the files named, one after the other. */
  bundle(name: string, parts: readonly string[]): void
  close(): void
}

export function openCertificates(): Certificates {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-certificates-'))
  const file = (name: string): string => path.join(folder, name)
  const read = (name: string): Buffer => readFileSync(file(name))
  const openssl = (words: string): void => {
    execFileSync('openssl', words.split(' '), {cwd: folder, stdio: 'pipe'})
  }
  return {
    file,
    read,
    issue: (name, {names, signer, days = 2, isAuthority = false} = {}) => {
      const extensions = [
        `basicConstraints=critical,CA:${isAuthority ? 'TRUE' : 'FALSE'}`,
        ...(names === undefined ? [] : [`subjectAltName=${names}`]),
      ]
      writeFileSync(file(`${name}.extensions`), extensions.join('\n'))
      openssl(
        `req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`,
      )
      const by =
        signer === undefined ? `-signkey ${name}.key` : `-CA ${signer}.pem -CAkey ${signer}.key -CAcreateserial`
      openssl(`x509 -req -in ${name}.csr ${by} -days ${days} -extfile ${name}.extensions -out ${name}.pem`)
    },
    bundle: (name, parts) => {
      writeFileSync(file(`${name}.pem`), parts.map((part) => read(`${part}.pem`).toString()).join('\n'))
    },
    close: () => rmSync(folder, {recursive: true, force: true}),
  }
}
