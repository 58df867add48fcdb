package worker

const openFlags = 0
