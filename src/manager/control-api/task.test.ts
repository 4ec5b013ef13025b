import { describe, expect, it } from 'vitest';

import { Code } from '../../base/index.js';
import { CALL, failure, fixture, task } from './test-fixture.js';

describe('tasks', () => {
  it('are read and removed by id', async () => {
    const f = fixture();
    const stored = await f.put('task', task('t1', { serviceId: 's1' }));
    expect((await f.control.getTask({ taskId: 't1' }, CALL)).task).toBe(stored);
    await f.control.removeTask({ taskId: 't1' }, CALL);
    expect(f.get('task', 't1')).toBeUndefined();
  });

  it('need an id that exists', async () => {
    const { control } = fixture();
    for (const method of [control.getTask, control.removeTask]) {
      expect(await failure(method({}, CALL))).toEqual({ code: Code.INVALID_ARGUMENT, message: 'invalid argument' });
      expect(await failure(method({ taskId: 't1' }, CALL))).toEqual({
        code: Code.NOT_FOUND,
        message: 'task t1 not found',
      });
    }
  });
});
