"""Watching a deployed student: bounded counts of live rows, compared with a reference.

    reference rows  ->  bins  ->  Layout ------------------------.
                                    |                             v
    live rows  ->  table  ->  counts of a batch  ->  Ledger  ->  MonitorReport
                                                       |
                                                    state file, journal

`table` reads rows of any container, `bins` sorts cells, `layout` counts a batch, `ledger` keeps
the counts by time, `state_file` and `journal` keep them on disk, `weekdays` compares with the same
weekdays, `psi` and `gap` are the maths, `report` judges, `fidelity_monitor` is what users hold.
Nothing here needs more than NumPy, except `FidelityMonitor.from_estimator`, which asks fitted
models.
"""

from skdistill.monitor.batch_summary import BatchSummary
from skdistill.monitor.fidelity_monitor import FidelityMonitor
from skdistill.monitor.report import MonitorReport

__all__ = ["BatchSummary", "FidelityMonitor", "MonitorReport"]
