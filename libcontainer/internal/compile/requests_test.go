package compile

import (
	"encoding/binary"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRequestsAreDecodedAsTheyWereEncoded(t *testing.T) {
	seen := map[uint64]bool{}
	for _, r := range []Request{
		RequestMaps{}, RequestChild{4242}, RequestTerminal{}, RequestReady{}, RequestCgroup{}, RequestPath{7}, RequestHooks{},
		RequestHook{StartContainer, 3}, RequestHookDone{0x100}, RequestCopyFrom{}, RequestCopyTo{}, RequestNetDevices{},
		RequestListener{9}, RequestSource{1}, RequestMapIDs{2}, RequestCopied{-int64(unix.EEXIST)},
	} {
		code, argument := r.encode()
		seen[code] = true
		message := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, code), argument)
		if got, err := Decode(message); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%#v was decoded as %#v, error %v", r, got, err)
		}
	}
	for code, decode := range decoders {
		if decode != nil && !seen[uint64(code)] {
			t.Errorf("request %d is not tested", code)
		}
	}
}

func TestFailuresAreDecodedWithTheKernelsWords(t *testing.T) {
	message := make([]byte, failureSize)
	binary.LittleEndian.PutUint64(message, failureCode)
	binary.LittleEndian.PutUint64(message[argumentAt:], 0x1234)
	binary.LittleEndian.PutUint64(message[errnoAt:], uint64(unix.EINVAL))
	copy(message[logAt:], "e tmpfs: Unknown parameter 'x'\n")
	r, err := Decode(message)
	f, ok := r.(RequestFailure)
	if err != nil || !ok || f.Record != 0x1234 || f.Errno != unix.EINVAL || f.Words() != "tmpfs: Unknown parameter 'x'" {
		t.Errorf("got %#v, error %v", r, err)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	word := func(code uint64) []byte { return binary.LittleEndian.AppendUint64(nil, code) }
	for _, message := range [][]byte{
		nil, {1}, word(1), append(word(1), 0), append(word(0), word(0)...), append(word(17), word(0)...), append(word(failureCode), word(0)...),
		append(word(1<<63), word(0)...),
	} {
		if r, err := Decode(message); err == nil {
			t.Errorf("%v was decoded as %#v", message, r)
		}
	}
}
