package libcontainer

// NotifySocket is where the container's process will look for the socket of
// sd_notify(3), or "" if the container was made without Options.Notify.
func (c *Container) NotifySocket() string { return c.birth().NotifySocket() }
