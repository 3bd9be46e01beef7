# The scripts of slurm/ on a real cluster that the tests start; skipped, by name, where Slurm is not installed.
weightscope_pytest(slurm tests/slurm)
