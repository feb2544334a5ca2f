"""What wanbot costs, measured beside naive baselines: ``make bench``; docs/performance.md tells how."""
