import type { DefineCommand } from './context.ts';
import { defineImportCatalogue } from './import-catalogue.ts';
import { defineImportCopy } from './import-copy.ts';
import { defineImportFrom } from './import-from.ts';
import { defineImportReplica } from './import-replica.ts';
import { defineImportShow } from './import-show.ts';
import { defineImportSwitch } from './import-switch.ts';
import { defineImportVerify } from './import-verify.ts';

const HELP = `
The configuration is hypervault.yaml with a section import, or a pg_chameleon file.

From one Postgres, everything in one command:
  hypervault import postgres://app@db1/app --by tenant_id

From MySQL or MariaDB:
  hypervault import create-replica-schema --config shop.yaml
  hypervault import add-source --config shop.yaml
  hypervault import preflight --config shop.yaml
  hypervault import init-replica --config shop.yaml
  hypervault import start-replica --config shop.yaml`;

/** `hypervault import …`: what pg_chameleon's command line does, in kebab-case. */
export const defineImport: DefineCommand = (group, context) => {
  group.helpCommand(false);
  for (const define of [
    defineImportFrom,
    defineImportCatalogue,
    defineImportCopy,
    defineImportReplica,
    defineImportShow,
    defineImportVerify,
    defineImportSwitch,
  ]) {
    define(group, context);
  }
  group.addHelpText('after', HELP);
};
