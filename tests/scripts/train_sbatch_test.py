"""scripts/slurm/train.sbatch with a program and a Slurm that only note what they are asked: which options reach
ddro-train, which exit codes put the job back into the queue, and under which name.

    python3 tests/scripts/train_sbatch_test.py
"""

import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/slurm/train.sbatch"
PROGRAM = """#!/bin/bash
echo "$@" "end=${SLURM_JOB_END_TIME:-}" >arguments
echo $$ >pid
trap 'exit 75' USR1
if [ "$EXIT" = wait ]; then touch waiting; for ((i = 0; i < 600; ++i)); do sleep 0.05; done; exit 1; fi
exit "$EXIT"
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
SQUEUE = """#!/bin/bash
case "$*" in
  *%e) echo 2030-01-02T03:04:05 ;;
  *%T) echo "${STATE:-RUNNING}" ;;
esac
"""


class TrainSbatch(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.command("program", PROGRAM)
        self.command("srun", SRUN)
        self.command("scontrol", '#!/bin/bash\necho "$@" >scontrol_called\n')
        self.command("squeue", SQUEUE)
        (self.folder / "sweep.txt").write_text("--set a.b=1\n--set a.b=2 --set c.d=[x]\n")

    def command(self, name, text):
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def start(self, exit_code, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "DDRO_"))}
        variables = {**kept, "PATH": f"{self.folder}:{os.environ['PATH']}", "TZ": "UTC", "EXIT": str(exit_code),
                     "DDRO_TRAIN": str(self.folder / "program"), "SLURM_JOB_ID": "7", **environment}
        return subprocess.Popen(["bash", SCRIPT, "run.yaml"], cwd=self.folder, env=variables, stderr=subprocess.PIPE,
                                text=True)

    def code(self, exit_code, **environment):
        process = self.start(exit_code, **environment)
        self.error = process.communicate(timeout=60)[1]
        return process.returncode

    def noted(self, name):
        path = self.folder / name
        return path.read_text().strip() if path.exists() else None

    def test_a_stopped_run_is_put_back_and_others_end_with_their_code(self):
        for code in (0, 2, 3, 70, 77, 78):
            self.assertEqual(self.code(code), code)
            self.assertIsNone(self.noted("scontrol_called"))
        for code in (75, 76, 137):
            self.assertEqual(self.code(code, SLURM_RESTART_COUNT="99"), 0)
            self.assertIn("restart 99 of at most 100", self.error)
            self.assertIn(f"exit code {code}; putting the job back", self.error)
            self.assertEqual(self.noted("scontrol_called"), "requeue 7")
            (self.folder / "scontrol_called").unlink()

    def test_not_more_often_than_a_hundred_times(self):
        self.assertEqual(self.code(75, SLURM_RESTART_COUNT="100"), 75)
        self.assertIn("not put back: restarted 100 times", self.error)
        self.assertIsNone(self.noted("scontrol_called"))

    def test_a_cancelled_job_is_not_put_back(self):
        self.assertEqual(self.code(75, STATE="COMPLETING"), 75)
        self.assertIsNone(self.noted("scontrol_called"))

    def test_the_program_gets_the_options_and_the_end_of_the_job(self):
        self.code(0)
        self.assertEqual(self.noted("arguments"), "train run.yaml end=1893553445")
        self.code(0, SLURM_JOB_END_TIME="12")
        self.assertEqual(self.noted("arguments"), "train run.yaml end=12")

    def test_signals_reach_the_program(self):
        for number in (signal.SIGUSR1, signal.SIGTERM):
            process = self.start("wait")
            while not (self.folder / "waiting").exists():
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            (self.folder / "waiting").unlink()
            time.sleep(0.2)  # the script's trap comes right after the start of the program
            if number == signal.SIGTERM:  # scancel sends it to every process of the job
                os.kill(int(self.noted("pid")), number)
            process.send_signal(number)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0)
            self.assertEqual(self.noted("scontrol_called"), "requeue 7")
            (self.folder / "scontrol_called").unlink()

    def test_a_task_of_a_sweep_has_its_line_and_its_name(self):
        # The array's last task: its own number is that of the whole array.
        task = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "DDRO_SWEEP": "sweep.txt"}
        self.assertEqual(self.code(75, **task), 0)
        self.assertEqual(self.noted("arguments"), "train run.yaml --set a.b=2 --set c.d=[x] end=1893553445")
        self.assertEqual(self.noted("scontrol_called"), "requeue 7_2")

    def test_a_sweep_without_a_line_for_the_task_is_refused(self):
        array = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
        self.assertEqual(self.code(0, DDRO_SWEEP="sweep.txt", **array), 2)
        self.assertIn("sweep.txt has no line 3", self.error)
        self.assertEqual(self.code(0, DDRO_SWEEP="absent.txt", **array), 2)
        self.assertIn("absent.txt", self.error)
        self.assertEqual(self.code(0, DDRO_SWEEP="sweep.txt"), 2)
        self.assertIn("needs sbatch --array", self.error)
        self.assertIsNone(self.noted("arguments"))


if __name__ == "__main__":
    unittest.main()
