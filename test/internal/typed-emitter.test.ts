import { expect, onTestFinished, test } from 'vitest';
import { TypedEmitter } from '../../src/internal/typed-emitter.ts';

class Bell extends TypedEmitter<{ rung: number }> {
  ring(times: number): void {
    this.emit('rung', times);
  }
}

test('any number of observers hear an event, without a warning of a leak', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): unknown => warnings.push(warning);
  process.on('warning', onWarning);
  onTestFinished(() => void process.off('warning', onWarning));
  const bell = new Bell();
  const heard: number[] = [];
  for (let n = 0; n < 12; n += 1) bell.on('rung', (times) => heard.push(times));
  bell.once('rung', (times) => heard.push(times));
  bell.ring(1);
  bell.ring(2);
  expect(heard.filter((times) => times === 1)).toHaveLength(13);
  expect(heard.filter((times) => times === 2)).toHaveLength(12);
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings).toEqual([]);
});
