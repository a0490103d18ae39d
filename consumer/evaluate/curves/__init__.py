"""From scores and marks to tables: accuracy, thresholds, risk, calibration, findings. Draws nothing."""
