"""Watching a deployed student: bounded counts of live rows, compared with a reference.

    reference rows  ->  bins  ->  Layout ------------------------.
                                    |                             v
    live rows  ->  table  ->  counts of a batch  ->  Ledger  ->  MonitorReport
                                                       |
                                                    database, or JSON

`scorer.tables` reads rows of any container, `bins` are the histograms of columns, `layout` counts a
batch, `ledger` adds up the counts by time, `database` and `state_file` (JSON) store them,
`weekdays` compares with the same weekdays, `psi` and `gap` compute drift and gap, `monitor_report`
compares counts with the reference, and `fidelity_monitor` is the public class. Only NumPy is
needed, except for `FidelityMonitor.from_estimator`, which predicts with fitted models.
"""

from skdistill.monitor.batch_summary import BatchSummary
from skdistill.monitor.fidelity_monitor import FidelityMonitor
from skdistill.monitor.monitor_report import MonitorReport

__all__ = ["BatchSummary", "FidelityMonitor", "MonitorReport"]
