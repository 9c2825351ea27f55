{{- define "tremplin.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, and the chart's where the release does not hold it. */}}
{{- define "tremplin.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "tremplin.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tremplin.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What a selector may hold: never changes during the life of a release. */}}
{{- define "tremplin.selector" -}}
app.kubernetes.io/name: {{ include "tremplin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "tremplin.labels" -}}
{{- $ours := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_")
  "app.kubernetes.io/part-of" "tremplin"
  "app.kubernetes.io/managed-by" .Release.Service }}
{{- toYaml (mergeOverwrite (deepCopy .Values.commonLabels) .Values.policyLabels $ours (include "tremplin.selector" . | fromYaml)) }}
{{- end }}

{{/* `metadata` of an object, from a list: the context, the object's name, labels of its own, and whether it is
cluster-scoped (then it gets no namespace). */}}
{{- define "tremplin.metadata" -}}
{{- $ := index . 0 -}}
name: {{ index . 1 }}
{{- if lt (len .) 4 }}
namespace: {{ $.Release.Namespace }}
{{- end }}
labels:
  {{- toYaml (merge (include "tremplin.labels" $ | fromYaml) (index . 2)) | nindent 2 }}
{{- with $.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tremplin.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tremplin.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false: name the account to run as" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "tremplin.image" -}}
{{- with .Values.image -}}
{{- if not (regexMatch "^[a-z0-9][-.a-z0-9]*\\.[-.a-z0-9]+(:[0-9]+)?/[a-z0-9]|^localhost(:[0-9]+)?/[a-z0-9]" .repository) }}
{{- fail (printf "image.repository %q names no registry: platforms refuse short names; write it as in ghcr.io/tremplin-dev/tremplin" .repository) }}
{{- end }}
{{- if eq .tag "latest" }}
{{- fail "image.tag latest is another image every day: give a version, or a digest" }}
{{- end }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{/* The platform file: the one given, else the profile, of which each override replaces a whole section. */}}
{{- define "tremplin.platform" -}}
{{- with .Values.platform }}
{{- if and .file .overrides }}
{{- fail "platform.file and platform.overrides are both given: overrides change a profile, a file is complete; keep one" }}
{{- end }}
{{- $text := default ($.Files.Get (printf "platforms/%s.yaml" .profile)) .file | trim }}
{{- if .overrides }}
{{- $platform := fromYaml $text }}
{{- range $section, $content := .overrides }}
{{- $_ := set $platform $section $content }}
{{- end }}
{{- $text = toYaml $platform }}
{{- end }}
{{- $text }}
{{- end }}
{{- end }}
