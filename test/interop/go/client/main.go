// Command client runs one of grpc-go's interoperability cases over mTLS, which grpc-go's own client has no flags for.
// The cases are grpc-go's, and so is the transport; only the certificate is handed over here.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/oauth"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

var (
	host          = flag.String("server_host", "localhost", "the server's host")
	port          = flag.Int("server_port", 0, "the server's port")
	serverName    = flag.String("server_host_override", "", "the name that the server's certificate must carry")
	caFile        = flag.String("ca_file", "", "the authority to trust")
	certFile      = flag.String("tls_cert_file", "", "the client's certificate")
	keyFile       = flag.String("tls_key_file", "", "the client's key")
	serviceConfig = flag.String("service_config_json", "{}", "the channel's service config")
	accountFile   = flag.String("service_account_key_file", "", "the service account of the cases with credentials")
	scope         = flag.String("oauth_scope", "", "the scope to ask for")
	latencyMs     = flag.Int("soak_per_iteration_max_acceptable_latency_ms", 1000, "the longest a soak's call may take")
	soakSeconds   = flag.Int("soak_overall_timeout_seconds", 10, "the longest a soak may take")
	testCase      = flag.String("test_case", "", "the case's name")
)

var unary = map[string]func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption){
	"empty_unary":                 interop.DoEmptyUnaryCall,
	"large_unary":                 interop.DoLargeUnaryCall,
	"client_streaming":            interop.DoClientStreaming,
	"server_streaming":            interop.DoServerStreaming,
	"ping_pong":                   interop.DoPingPong,
	"empty_stream":                interop.DoEmptyStream,
	"timeout_on_sleeping_server":  interop.DoTimeoutOnSleepingServer,
	"cancel_after_begin":          interop.DoCancelAfterBegin,
	"cancel_after_first_response": interop.DoCancelAfterFirstResponse,
	"status_code_and_message":     interop.DoStatusCodeAndMessage,
	"special_status_message":      interop.DoSpecialStatusMessage,
	"custom_metadata":             interop.DoCustomMetadata,
}

func main() {
	flag.Parse()
	target := fmt.Sprintf("%s:%d", *host, *port)
	conn := dial(target)
	defer conn.Close()
	ctx, stub := context.Background(), testgrpc.NewTestServiceClient(conn)
	if run, ok := unary[*testCase]; ok {
		run(ctx, stub)
		return
	}
	switch *testCase {
	case "unimplemented_method":
		interop.DoUnimplementedMethod(ctx, conn)
	case "unimplemented_service":
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	case "pick_first_unary":
		interop.DoPickFirstUnary(ctx, stub)
	case "orca_per_rpc":
		interop.DoORCAPerRPCTest(ctx, stub)
	case "orca_oob":
		interop.DoORCAOOBTest(ctx, stub)
	case "jwt_token_creds":
		interop.DoJWTTokenCreds(ctx, stub, *accountFile)
	case "service_account_creds":
		interop.DoServiceAccountCreds(ctx, stub, *accountFile, *scope)
	case "oauth2_auth_token":
		interop.DoOauth2TokenCreds(ctx, stub, *accountFile, *scope)
	case "per_rpc_creds":
		interop.DoPerRPCCreds(ctx, stub, *accountFile, *scope)
	case "rpc_soak":
		soak(ctx, target, func() (*grpc.ClientConn, func()) { return conn, func() {} })
	case "channel_soak":
		soak(ctx, target, func() (*grpc.ClientConn, func()) {
			own := dial(target)
			return own, func() { own.Close() }
		})
	default:
		log.Fatal("Unsupported test case: ", *testCase)
	}
}

func dial(target string) *grpc.ClientConn {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transportCredentials()),
		grpc.WithDefaultServiceConfig(*serviceConfig),
	}
	if token := callCredentials(); token != nil {
		options = append(options, grpc.WithPerRPCCredentials(token))
	}
	conn, err := grpc.NewClient(target, options...)
	must(err)
	return conn
}

func callCredentials() credentials.PerRPCCredentials {
	var token credentials.PerRPCCredentials
	var err error
	switch *testCase {
	case "jwt_token_creds":
		token, err = oauth.NewJWTAccessFromFile(*accountFile)
	case "service_account_creds":
		token, err = oauth.NewServiceAccountFromFile(*accountFile, *scope)
	case "oauth2_auth_token":
		own := interop.GetToken(context.Background(), *accountFile, *scope)
		token = oauth.TokenSource{TokenSource: oauth2.StaticTokenSource(own)}
	}
	must(err)
	return token
}

func transportCredentials() credentials.TransportCredentials {
	authority, err := os.ReadFile(*caFile)
	must(err)
	pair, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return credentials.NewTLS(&tls.Config{
		RootCAs:      roots,
		Certificates: []tls.Certificate{pair},
		ServerName:   *serverName,
	})
}

func soak(ctx context.Context, target string, channel func() (*grpc.ClientConn, func())) {
	interop.DoSoakTest(ctx, interop.SoakTestConfig{
		RequestSize:                      271828,
		ResponseSize:                     314159,
		PerIterationMaxAcceptableLatency: time.Duration(*latencyMs) * time.Millisecond,
		OverallTimeout:                   time.Duration(*soakSeconds) * time.Second,
		ServerAddr:                       target,
		NumWorkers:                       1,
		Iterations:                       10,
		ChannelForTest:                   channel,
	})
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
