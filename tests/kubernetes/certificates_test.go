package kubernetes

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs the certificates of all components.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, dir string) *authority {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	a := &authority{dir: dir}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "rt-kubernetes"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	a.cert, a.key = a.sign(t, "ca", template)
	return a
}

// path is that of a certificate, or of a key.
func (a *authority) path(name, suffix string) string { return filepath.Join(a.dir, name+suffix) }

// issue makes a certificate for a server, and for a client who is a member of a group.
func (a *authority) issue(t testing.TB, name, user, group string) {
	t.Helper()
	a.sign(t, name, &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: []string{group}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost", nodeName, "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP(nodeAddress)},
	})
}

// sign makes a key and a certificate of it, and writes both.
func (a *authority) sign(t testing.TB, name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key := newKey(t, a.path(name, ".key"))
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := a.cert, crypto.Signer(a.key)
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	must(t, err)
	must(t, os.WriteFile(a.path(name, ".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert, key
}

func newKey(t testing.TB, path string) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600))
	return key
}

// kubeconfig issues a certificate for a client of the API server, and writes its
// configuration. It returns the path.
func (a *authority) kubeconfig(t testing.TB, name, user, group string) string {
	t.Helper()
	a.issue(t, name, user, group)
	path := a.path(name, ".yaml")
	must(t, os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: rt
  cluster: {server: "https://%s:6443", certificate-authority: %s}
users:
- name: %[3]s
  user: {client-certificate: %[4]s, client-key: %[5]s}
contexts:
- name: rt
  context: {cluster: rt, user: %[3]s}
current-context: rt
`, nodeAddress, a.path("ca", ".crt"), name, a.path(name, ".crt"), a.path(name, ".key")), 0o600))
	return path
}
