package main

import "google.golang.org/protobuf/encoding/protowire"

// fields reads the fields of a message in the wire format of protocol buffers: those that
// have a length, and the numbers. Either function may be nil. As everywhere, a field of a
// type that nobody expects is nobody's.
func fields(message []byte, data func(protowire.Number, []byte) error, numbers func(protowire.Number, uint64)) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return protowire.ParseError(n)
		}
		switch {
		case kind == protowire.VarintType && numbers != nil:
			value, _ := protowire.ConsumeVarint(message)
			numbers(number, value)
		case kind == protowire.BytesType && data != nil:
			value, _ := protowire.ConsumeBytes(message)
			if err := data(number, value); err != nil {
				return err
			}
		}
		message = message[n:]
	}
	return nil
}
