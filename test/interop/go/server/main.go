// Command server is grpc-go's interoperability server over mTLS, which grpc-go's own server has no flags for. The
// service is grpc-go's, and so is the transport; only who may call is said here.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
)

var (
	port     = flag.Int("port", 0, "the port to listen on")
	certFile = flag.String("tls_cert_file", "", "the server's certificate")
	keyFile  = flag.String("tls_key_file", "", "the server's key")
	caFile   = flag.String("ca_file", "", "the authority that clients' certificates must be signed by")
)

func main() {
	flag.Parse()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	must(err)
	metrics := orca.NewServerMetricsRecorder()
	server := grpc.NewServer(grpc.Creds(transportCredentials()), orca.CallMetricsServerOption(nil))
	must(orca.Register(server, orca.ServiceOptions{ServerMetricsProvider: metrics}))
	service := interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: metrics})
	testgrpc.RegisterTestServiceServer(server, service)
	must(server.Serve(listener))
}

func transportCredentials() credentials.TransportCredentials {
	authority, err := os.ReadFile(*caFile)
	must(err)
	pair, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	must(err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority)
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
	})
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
