"""scripts/slurm/train.sbatch in a Slurm of two nodes: whatever becomes of a job, its run ends with the bits of one that
nothing disturbed, and the restarts are counted.

    ctest --preset release -C slurm -L slurm

A job's first start is slowed down by a disk that is slow, so that there is something to disturb; the others are not.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import cluster
from cluster import until

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from tiny_run import PROGRAM, TinyRun

SCRIPT = ROOT / "scripts/slurm/train.sbatch"
TWO_NODES = ("--nodes=2", "--ntasks-per-node=1")
SOON = 60  # s, for what takes a few on a machine that does nothing else


class Job:
    restarts = 0  # that were waited for

    def __init__(self, log, number):
        self.log, self.number = log, number

    def task(self, number):
        """One of an array."""
        return Job(Path(str(self.log).replace("%a", str(number))), f"{self.number}_{number}")

    def facts(self):
        return dict(re.findall(r"(\w+)=(\S*)", cluster.ask("scontrol", "show", "job", "-o", self.number)))

    def text(self):
        return self.log.read_text() if self.log.exists() else ""

    def state(self):
        return self.facts()["JobState"]

    def wait_for(self, text, seconds=SOON):
        until(lambda: text in self.text(), seconds, lambda: f"no \"{text}\" in: {self.text()}")

    def wait_for_state(self, *states, seconds=SOON):
        return until(lambda: (state := self.state()) in states and state, seconds,
                     lambda: f"{self.facts()} after: {self.text()}")

    def release(self, *changes):
        """Starts a job that was put back before the two minutes are over for which Slurm holds it."""
        self.restarts += 1
        until(lambda: self.state() == "PENDING" and int(self.facts()["Restarts"]) >= self.restarts, SOON,
              lambda: f"{self.facts()} after: {self.text()}")
        cluster.ask("scontrol", "update", f"JobId={self.number}", "StartTime=now+2", *changes)

    def finish(self):
        self.wait_for_state("COMPLETED", seconds=2 * SOON)


def submit(log, *command):
    return Job(log, cluster.ask("sbatch", "--parsable", f"--output={log}", *command))


class Slurm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.root = Path(holder.name)
        cls.slurm = cluster.Cluster(cls.root)
        slow = cls.root / "program"
        slow.write_text(f"""#!/bin/bash
[ "${{SLURM_RESTART_COUNT:-0}}" -gt 0 ] || export LD_PRELOAD={os.environ["DDRO_DISK_FAULTS"]}
exec {PROGRAM} "$@"
""")
        slow.chmod(0o755)
        os.environ |= {"DDRO_TRAIN": str(slow), "DDRO_DISK": str(cls.root), "DDRO_DISK_DELAY_MS": "5"}

    def run_of(self, name="disturbed", steps=40, checkpoint=None, **sections):
        return TinyRun(self.root / name, train={"max_steps": steps}, eval={"eval_steps": 7},
                       checkpoint={"save_steps": 3} | (checkpoint or {}), distributed={"timeout_s": 10}, **sections)

    def submit(self, run, *options):
        return submit(run.config.with_name("job.log"), *options, SCRIPT, run.config)

    def expect_as_undisturbed(self, run, *options, **settings):
        expected = self.run_of(f"{run.output.parent.name}_undisturbed", **settings).finish(*options).result()
        for got, truth in zip(run.result(), expected):
            self.assertEqual(got, truth)

    def expect_restarted(self, run, job, times):
        self.assertEqual(job.facts()["Restarts"], str(times))
        self.assertEqual(run.num_starts(), times + 1)
        self.assertIn(f"restart {times} of at most", job.text())

    def expect_stopped_and_resumed(self, run, job, *changes):
        """What follows every warning: a checkpoint of the step at hand, and one restart from it."""
        job.release(*changes)
        job.finish()
        self.expect_restarted(run, job, 1)
        stopped = re.search(r"stopped by .* after step (\d+) of \d+; the checkpoint is saved", job.text())
        resumed = re.search(r"resuming from .* after step (\d+)", job.text())
        self.assertEqual(stopped[1], resumed[1])

    def test_submitted(self):
        run = self.run_of()
        job = self.submit(run)
        job.finish()
        self.expect_restarted(run, job, 0)
        self.expect_as_undisturbed(run)

    def test_signal(self):
        run = self.run_of()
        job = self.submit(run)
        job.wait_for("step 5/")
        cluster.ask("scancel", "--signal=USR1", "--batch", job.number)
        self.expect_stopped_and_resumed(run, job)
        self.expect_as_undisturbed(run)

    def test_requeue(self):
        run = self.run_of()
        job = self.submit(run)
        job.wait_for("step 5/")
        cluster.ask("scontrol", "requeue", job.number)
        self.expect_stopped_and_resumed(run, job)
        self.expect_as_undisturbed(run)

    def test_time_limit_known_to_the_program(self):
        settings = {"steps": 80, "checkpoint": {"save_before_timeout_s": 55}}
        run = self.run_of(**settings)
        job = self.submit(run, "--time=1", "--signal=B:USR1@1")
        self.expect_stopped_and_resumed(run, job, "TimeLimit=10")
        self.assertIn("55 s before the job's time limit", job.text())
        self.expect_as_undisturbed(run, **settings)

    def test_time_limit_told_by_slurm(self):
        # Slurm looks at the limits every 30 s; what comes within 60 s of a limit of one minute is told at the first look.
        settings = {"steps": 300, "checkpoint": {"save_before_timeout_s": 1}}
        run = self.run_of(**settings)
        job = self.submit(run, "--time=1", "--signal=B:USR1@60")
        job.wait_for("stopped by SIGUSR1")
        self.expect_stopped_and_resumed(run, job, "TimeLimit=10")
        self.expect_as_undisturbed(run, **settings)

    def test_preemption(self):
        run = self.run_of()
        job = self.submit(run)
        job.wait_for("step 5/")
        other = submit(self.root / "other.log", "--partition=high", *TWO_NODES, "--exclusive", "--wrap=true")
        job.wait_for("stopped by SIGUSR1")
        other.finish()
        self.expect_stopped_and_resumed(run, job)
        self.expect_as_undisturbed(run)

    def test_lost_node(self):
        run = self.run_of()
        job = self.submit(run)
        job.wait_for("step 20/")
        lost = job.facts()["NodeList"]
        self.slurm.cut_power(lost)
        job.release()
        job.finish()
        self.assertNotEqual(job.facts()["NodeList"], lost)
        self.expect_restarted(run, job, 1)
        self.assertIn("resuming from", job.text())
        self.expect_as_undisturbed(run)
        self.slurm.start_node(lost)

    def test_cancelled(self):
        run = self.run_of()
        job = self.submit(run)
        job.wait_for("step 5/")
        cluster.ask("scancel", job.number)
        job.wait_for("the checkpoint is saved")
        self.assertEqual(job.wait_for_state("CANCELLED"), "CANCELLED")
        again = self.submit(run)
        again.finish()
        self.assertEqual(run.num_starts(), 2)
        self.assertIn("resuming from", again.text())
        self.expect_as_undisturbed(run)

    def test_array_of_runs(self):
        rates = {task: 1e-3 * task for task in (1, 2, 3)}
        runs = {task: self.run_of(f"task_{task}", optimizer={"learning_rate": rate}) for task, rate in rates.items()}
        sweep = self.root / "sweep.txt"
        sweep.write_text("".join(f"--set optimizer.learning_rate={rate} --set train.output_dir={runs[task].output}\n"
                                 for task, rate in rates.items()))
        job = submit(self.root / "task_%a.log", f"--export=ALL,DDRO_SWEEP={sweep}", "--array=1-3", SCRIPT, runs[1].config)
        tasks = {task: job.task(task) for task in rates}
        tasks[3].wait_for("step 5/")
        cluster.ask("scancel", "--signal=USR1", "--batch", tasks[3].number)
        self.expect_stopped_and_resumed(runs[3], tasks[3])
        for task, rate in rates.items():
            tasks[task].finish()
            self.expect_restarted(runs[task], tasks[task], int(task == 3))
            self.expect_as_undisturbed(runs[task], optimizer={"learning_rate": rate})

    def test_two_ranks_of_one_node(self):
        run = self.run_of()
        job = self.submit(run, "--nodes=1", "--ntasks-per-node=2")
        job.wait_for("step 5/")
        cluster.ask("scancel", "--signal=USR1", "--batch", job.number)
        self.expect_stopped_and_resumed(run, job)
        self.expect_as_undisturbed(run, "--nproc", "2")

    def test_two_nodes(self):
        run = self.run_of()
        job = self.submit(run, *TWO_NODES)
        job.wait_for("step 5/")
        cluster.ask("scancel", "--signal=USR1", "--batch", job.number)
        self.expect_stopped_and_resumed(run, job)
        self.expect_as_undisturbed(run, "--nproc", "2")

    def test_two_nodes_requeued(self):
        run = self.run_of()
        job = self.submit(run, *TWO_NODES)
        job.wait_for("step 5/")
        cluster.ask("scontrol", "requeue", job.number)
        self.expect_stopped_and_resumed(run, job)
        self.expect_as_undisturbed(run, "--nproc", "2")

    def test_two_nodes_of_which_one_loses_its_rank(self):
        run = self.run_of()
        job = self.submit(run, *TWO_NODES)
        job.wait_for("step 20/")
        os.kill(self.slurm.process_on("n2", "ddro-train"), signal.SIGKILL)
        job.wait_for("exit code 137; putting the job back")
        self.assertIn("n1: task 0: Exited with exit code 76", job.text())
        job.release()
        job.finish()
        self.expect_restarted(run, job, 1)
        self.assertIn("resuming from", job.text())
        self.expect_as_undisturbed(run, "--nproc", "2")

    def test_two_nodes_of_which_one_is_lost(self):
        run = self.run_of()
        job = self.submit(run, *TWO_NODES)
        job.wait_for("step 20/")
        self.slurm.cut_power("n2")
        job.wait_for_state("PENDING")
        self.slurm.start_node("n2")
        job.release()
        job.finish()
        self.assertGreater(int(job.facts()["Restarts"]), 0)
        self.assertIn("resuming from", job.text())
        self.expect_as_undisturbed(run, "--nproc", "2")

    def test_steps_of_one_job(self):
        runs = [self.run_of(f"step_{i}", optimizer={"learning_rate": 1e-3 * i}) for i in (1, 2)]
        steps = " & ".join(f"srun --exact --ntasks=2 {PROGRAM} train {run.config}" for run in runs)
        job = submit(self.root / "steps.log", "--ntasks=4", f"--wrap={steps} & wait")
        job.finish()
        for i, run in enumerate(runs, 1):
            self.expect_as_undisturbed(run, "--nproc", "2", optimizer={"learning_rate": 1e-3 * i})

    def test_twin_started_while_the_first_goes_on(self):
        run = self.run_of()
        job = self.submit(run)
        job.wait_for("step 20/")
        node = job.facts()["NodeList"]
        first = self.slurm.process_on(node, "ddro-train")
        os.kill(first, signal.SIGSTOP)
        self.slurm.cut_off(node)
        job.release()  # on the other node
        job.wait_for("is in use by process")
        job.wait_for("exit code 75; putting the job back")
        os.kill(first, signal.SIGKILL)
        job.release()
        job.finish()
        self.assertEqual(job.facts()["Restarts"], "2")
        self.expect_as_undisturbed(run)

    def test_no_progress(self):
        run = self.run_of(checkpoint={"save_before_timeout_s": 60})  # as long as the limit
        job = self.submit(run, "--time=1")
        for _ in range(4):
            job.release()
        job.wait_for_state("FAILED")
        self.assertEqual(job.facts()["ExitCode"], "78:0")
        self.assertIn("3 restarts of the job in a row have saved nothing", job.text())


if __name__ == "__main__":
    if reason := cluster.why_not():
        sys.exit(f"skipped: {reason}")
    cluster.enter()
    unittest.main()
