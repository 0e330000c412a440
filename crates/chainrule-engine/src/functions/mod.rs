//! What models are written with: functions over the operations, which inherit every derivative.
